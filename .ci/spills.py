"""Fails if a product in a program writes its sums to memory: python3 .ci/spills.py PROGRAM

A kernel is fast while its sums stay in registers. One loop that the compiler does not unroll can
put them on the stack, and then every step of the product stores all of them: right, and three
times slower. So every innermost loop of at least twelve multiply-and-adds and little else is looked
at, and one that stores half as many vectors on the stack is a defect.

An instruction that became a function of its own is another: some function around it was compiled
for any processor, so every vector goes through memory on its way. That is five times slower.

Needs objdump; x86-64 only.
"""
import re
import subprocess
import sys

LEAST = 12
address = re.compile(r"^\s+([0-9a-f]+):\s+(\S.*)")
jump = re.compile(r"^j\w+\s+([0-9a-f]+)")
product = re.compile(r"^v(fn?m(add|sub)\d+|dpbf16)ps\s")
other = re.compile(r"^v(add|sub|mul|div|max|min|sqrt)\w*ps\s")
header = re.compile(r"^[0-9a-f]+ <(.*)>:$")
intrinsic = re.compile(r"core_arch.*_mm\d*_\w+")
spill = re.compile(r"^vmov\w+\s+%[xyz]mm\d+,.*\(%r[sb]p")


def functions(program):
    """The name of every function and its instructions, as (address, text)."""
    lines = subprocess.Popen(["objdump", "-d", "--no-show-raw-insn", program], stdout=subprocess.PIPE, text=True)
    name, instructions = "", []
    for line in lines.stdout:
        if found := header.match(line.rstrip()):
            yield name, instructions
            name, instructions = found[1], []
        elif found := address.match(line):
            instructions.append((int(found[1], 16), found[2]))
    yield name, instructions
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


seen, bad, called = 0, 0, set()
for name, instructions in functions(sys.argv[1]):
    if found := intrinsic.search(name):
        called.add(found[0].split("17h")[0])
    if sum(bool(product.match(text)) for _, text in instructions) < LEAST:
        continue
    for first, last in innermost(instructions):
        body = [text for _, text in instructions[first : last + 1]]
        products = sum(bool(product.match(text)) for text in body)
        spills = sum(bool(spill.match(text)) for text in body)
        others = sum(bool(other.match(text)) for text in body)
        if products >= LEAST and 4 * others < products:
            seen += 1
            if 2 * spills >= products:
                bad += 1
                print(f"the loop at {instructions[first][0]:#x}: {products} multiply-and-adds, {spills} stores on the stack")
print(f"{seen} loops of products, {bad} of them with sums on the stack")
if called:
    print(f"{len(called)} instructions that are functions: {', '.join(sorted(called))}")
sys.exit(1 if bad or called or not seen else 0)
