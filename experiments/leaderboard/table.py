"""The table of README.md, from the results of run.sh: means over the left-out times."""

import json
import pathlib
import sys

SETS = ["EB", "THP-1", "mESC", "storms", "gom", "schiebinger"]
REFERENCES = ["previous snapshot", "next snapshot", "linear transport", "clocked spline", "two samples"]
results = pathlib.Path(sys.argv[1])
for protocol in range(2):
    reports = {name: json.loads((results / f"{name}.json").read_text())["report"] for name in SETS}
    tables = {name: report["tables"][protocol] for name, report in reports.items()}
    print("\nfrom", tables["EB"]["protocol"], "- W1 / energy distance without self-distances")
    rows = []
    for table in tables.values():
        rows += [row["name"] for row in table["rows"] if row["name"] not in rows]
    print("|", " | ".join(["row", *SETS]), "|")
    print("|---" * (len(SETS) + 1) + "|")
    for row in sorted(rows, key=lambda row: rows.index(row) + 100 * (row in REFERENCES)):
        cells = []
        for table in tables.values():
            found = [line for line in table["rows"] if line["name"] == row and line["mean"]]
            means = [line["mean"] for line in found]
            cells += [f"{m['w1']['mean']:.4g} / {m['unbiased_energy']['mean']:.3g}" for m in means] or ["-"]
        print("|", " | ".join([row, *cells]), "|")
