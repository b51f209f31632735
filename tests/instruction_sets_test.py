#!/usr/bin/env python3
"""Fails if objects of one instruction set define a function that the linker may take for all.

Usage: instruction_sets_test.py NAME OBJECT...

An inline function that several objects define is kept once, from any of them: from one compiled
for avx512, it would end the program on a processor without.  Functions in the set's own inline
namespace are its alone.
"""
import subprocess
import sys

# Of the standard library, and without arithmetic.
HARMLESS = ("std::bad_variant_access::", "std::__throw_bad_variant_access")


def main():
    name, objects = sys.argv[1], sys.argv[2:]
    listing = subprocess.run(["nm", "-C", "--defined-only", *objects], check=True, text=True,
                             stdout=subprocess.PIPE).stdout
    symbols = [line.split(maxsplit=2)[1:] for line in listing.splitlines() if len(line.split()) > 2]
    # The second as nm leaves a name that it cannot demangle.
    marks = (f"::{name}::", f"3cpu{len(name)}{name}")
    own = sum(any(mark in s for mark in marks) for _, s in symbols)
    shared = [s for kind, s in symbols
              if kind in "Wu" and not any(mark in s for mark in marks)
              and not s.startswith(HARMLESS)]
    print("\n".join(shared) or f"{name}: {own} symbols of its own, none that others share")
    return bool(shared) or own == 0


if __name__ == "__main__":
    sys.exit(main())
