"""Fails if a product in a program writes its sums to memory: python3 .ci/spills.py PROGRAM

A kernel is fast while its sums stay in registers. One loop that the compiler does not unroll can
put them on the stack, and then every step of the product stores all of them: right, and three
times slower. So every innermost loop of at least twelve multiply-and-adds is looked at, and one
that stores half as many vectors on the stack is a defect. Needs objdump; x86-64 only.
"""
import re
import subprocess
import sys

LEAST = 12
address = re.compile(r"^\s+([0-9a-f]+):\s+(\S.*)")
jump = re.compile(r"^j\w+\s+([0-9a-f]+)")
product = re.compile(r"^v(fn?m(add|sub)\d+|dpbf16)ps\s")
spill = re.compile(r"^vmov\w+\s+%[xyz]mm\d+,.*\(%r[sb]p")


def functions(program):
    """The instructions of every function, as (address, text)."""
    lines = subprocess.Popen(["objdump", "-d", "--no-show-raw-insn", program], stdout=subprocess.PIPE, text=True)
    instructions = []
    for line in lines.stdout:
        if line.rstrip().endswith(">:"):
            yield instructions
            instructions = []
        elif found := address.match(line):
            instructions.append((int(found[1], 16), found[2]))
    yield instructions
    if lines.wait() != 0:
        sys.exit(f"objdump cannot read {program}")


def innermost(instructions):
    """Loops without a loop inside, as ranges of instructions."""
    place = {at: i for i, (at, _) in enumerate(instructions)}
    loops = []
    for i, (at, text) in enumerate(instructions):
        if (found := jump.match(text)) and int(found[1], 16) <= at and int(found[1], 16) in place:
            loops.append((place[int(found[1], 16)], i))
    inner, latest = [], -1
    for first, last in sorted(loops, key=lambda loop: loop[1]):
        # Some loop that ends before this one starts after its start.
        if latest < first:
            inner.append((first, last))
        latest = max(latest, first)
    return inner


seen, bad = 0, 0
for instructions in functions(sys.argv[1]):
    if sum(bool(product.match(text)) for _, text in instructions) < LEAST:
        continue
    for first, last in innermost(instructions):
        body = [text for _, text in instructions[first : last + 1]]
        products = sum(bool(product.match(text)) for text in body)
        spills = sum(bool(spill.match(text)) for text in body)
        if products >= LEAST:
            seen += 1
            if 2 * spills >= products:
                bad += 1
                print(f"the loop at {instructions[first][0]:#x}: {products} multiply-and-adds, {spills} stores on the stack")
print(f"{seen} loops of products, {bad} of them with sums on the stack")
sys.exit(1 if bad or not seen else 0)
