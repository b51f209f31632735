"""What the claims share: how elbo is called, and how a claim says what it found."""
import subprocess
import sys
import tempfile


class Claims:
    """A script's claims: its arguments are the elbo executable and the folder of the data."""

    def __init__(self):
        if len(sys.argv) != 3:
            sys.exit(f"usage: {sys.argv[0]} ELBO DATA")
        self.executable, self.data = sys.argv[1:]
        self.temporary = tempfile.TemporaryDirectory()
        self.failed = False

    def path(self, name):
        return f"{self.temporary.name}/{name}"

    def elbo(self, *words):
        """What the command prints.  Errors: it fails."""
        done = subprocess.run([self.executable, *map(str, words)], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"elbo {words[0]}: {done.stderr}")
        return done.stdout

    def claim(self, what, figure, asked, holds):
        print(f"{what}: {figure} (asked: {asked}) {'holds' if holds else 'fails'}", flush=True)
        self.failed |= not holds

    def share_within(self, what, share, low, high):
        asked = f"{100 * low:.0f} to {100 * high:.0f} %"
        self.claim(what, f"{100 * share:.2f} %", asked, low <= share <= high)

    def finish(self):
        sys.exit(1 if self.failed else 0)
