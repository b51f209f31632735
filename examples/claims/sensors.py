"""A water circulation rig: how unusual a second is, by log evidence and by principal components.

SKAB (Katser & Kozitsin 2020): 34 labelled runs of 8 sensors at 1 Hz.  Each run's model and components
see its first 400 seconds, standardised by them; scored are the seconds after.  The model is the one
of seven that gave held-out seconds among those 400 the fewest nats: no label chose it.  The AUROC says how
often an anomalous second is ranked above a normal one.  Both see a second alone, no past.
"""
import numpy as np

from trained import TrainedClaims, ranks

claims = TrainedClaims()
KNOWN, COMPONENTS = 400, 3


def auroc(score, anomalous):
    order, positive = ranks(score), anomalous.sum()
    return (order[anomalous].sum() - positive * (positive + 1) / 2) / (
        positive * (len(score) - positive))


def reconstruction_error(known, later, count):
    centre, scale = known.mean(0), known.std(0)
    known, later = (known - centre) / scale, (later - centre) / scale
    axes = np.linalg.svd(known, full_matrices=False)[2][:count]
    return ((later - later @ axes.T @ axes) ** 2).sum(1)


table = []
for path in sorted(claims.folder("sensors/skab").glob("*/*.csv")):
    with open(path) as file:
        head = file.readline().strip().split(";")
        rows = [line.strip().split(";") for line in file]
    if "anomaly" not in head:
        continue  # the run without anomalies
    values = np.array([row[1:9] for row in rows], float)
    anomalous = np.array([float(row[head.index("anomaly")]) for row in rows]) > 0.5
    known, later, wanted = values[:KNOWN], values[KNOWN:], anomalous[KNOWN:]
    name = f"{path.parent.name}-{path.stem}"
    claims.train(name, claims.save("known", known), likelihood="student_t", sigma="feature",
                 standardise="columns", hidden=32, latent=3, batch=50, lr=0.005, epochs=200)
    evidence = claims.written("score", name, claims.save("later", later))[:, 0]
    figures = [auroc(-evidence, wanted)] + [
        auroc(reconstruction_error(known, later, count), wanted) for count in range(1, 8)]
    table.append(figures)
    claims.note(f"sensors: {name}", f"log evidence {figures[0]:.3f}, components {figures[COMPONENTS]:.3f}, "
                f"{wanted.sum()} of {len(wanted)} seconds anomalous, {anomalous[:KNOWN].sum()} of "
                f"those trained on")
evidence, *by_count = np.mean(table, 0)
components = by_count[COMPONENTS - 1]
claims.note("sensors: mean AUROC of 1 to 7 principal components",
            ", ".join(f"{figure:.4f}" for figure in by_count))
claims.claim(f"sensors: mean AUROC of log evidence over {len(table)} runs", f"{evidence:.4f}",
             f"above that of {COMPONENTS} principal components, {components:.4f}",
             evidence > components)
claims.finish()
