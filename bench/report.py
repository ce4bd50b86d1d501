"""What bench/run says about its samples: statistics, tables, budgets. Pure functions of measured rows.

A row is a dictionary with `name`, `program`, `role`, `ours`, and either `ms` (the samples, in milliseconds) or
`unavailable` (why there are none, in three words; `reason` may say it in the tool's own). What is printed is never rounded in our favour: figures of our own rows are
rounded up, all others down. Budgets are judged by unrounded figures.
"""

import decimal
import json
import math

# (role that must keep it, role it is compared with, most that the ratio of their medians may be). All for /bin/true.
BUDGETS = (
    ("cove", "bwrap", 0.6),
    ("cove", "runc", 0.1),
    ("library", "bare", 4.0),
)
BUDGET_PROGRAM = "/bin/true"


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def p95(values):
    """The nearest rank: a sample that was seen, at or above 95 of 100."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def rounded(value, ours, places=2):
    mode = decimal.ROUND_CEILING if ours else decimal.ROUND_FLOOR
    return str(decimal.Decimal(repr(value)).quantize(decimal.Decimal(1).scaleb(-places), rounding=mode))


def find_row(rows, role, program):
    return next((row for row in rows if row["role"] == role and row["program"] == program), None)


def ratio(rows, row, role):
    """Of the row's median to that of the row with `role` and the same program; None where there is none."""
    other = find_row(rows, role, row["program"])
    if "ms" not in row or other is None or "ms" not in other:
        return None
    return median(row["ms"]) / median(other["ms"])


def markdown(header, lines):
    """A table; columns but the first are aligned to the right, so that figures stand below each other."""
    widths = [max(len(line[column]) for line in [header, *lines]) for column in range(len(header))]

    def join(cells):
        padded = [cell.ljust(width) if column == 0 else cell.rjust(width)
                  for column, (cell, width) in enumerate(zip(cells, widths))]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
    return "\n".join([join(header), join(rule), *map(join, lines)])


def table(rows):
    lines = []
    for row in rows:
        if "ms" in row:
            figures = [median(row["ms"]), p95(row["ms"]), ratio(rows, row, "bare"), ratio(rows, row, "bwrap")]
            cells = ["" if figure is None else rounded(figure, row["ours"]) for figure in figures]
        else:
            cells = [row["unavailable"], "", "", ""]
        lines.append([row["name"], f"`{row['program']}`", *cells])
    return markdown(["", "program", "median ms", "p95 ms", "/ bare spawn", "/ bwrap"], lines)


def reasons(rows):
    """One line for each tool that gave a reason for having no figures."""
    return list(dict.fromkeys(f"{row['name']} {row['unavailable']}: {row['reason']}" for row in rows if "reason" in row))


def step_medians(results):
    """{step: median ms} over results of `cove run --json`, with the two sums that every result has."""
    names = list(dict.fromkeys(name for result in results for name in result["steps"]))
    medians = {name: median([result["steps"].get(name, 0.0) for result in results]) for name in names}
    medians["all, up to the program's exec"] = median([result["startup_ms"] for result in results])
    medians["the program itself"] = median([result["duration_ms"] for result in results])
    return medians


def steps_table(columns):
    """`columns`: {heading: results}."""
    medians = {heading: step_medians(results) for heading, results in columns.items()}
    names = list(dict.fromkeys(name for column in medians.values() for name in column))
    # The sums come last, whatever steps the last column adds.
    sums = [name for name in ("all, up to the program's exec", "the program itself") if name in names]
    lines = [[name, *(rounded(column[name], True, 3) if name in column else "" for column in medians.values())]
             for name in [name for name in names if name not in sums] + sums]
    return markdown(["step, median ms", *medians], lines)


def budgets(rows):
    """[{what, limit, measured, met}]; measured is None, and met False, where a row is missing."""
    judged = []
    for role, other, limit in BUDGETS:
        row, reference = (find_row(rows, name, BUDGET_PROGRAM) for name in (role, other))
        measured = ratio(rows, row, other) if row else None
        judged.append({
            "what": f"{row['name'] if row else role} / {reference['name'] if reference else other}",
            "limit": limit,
            "measured": measured,
            "met": measured is not None and measured <= limit,
        })
    return judged


def budget_lines(judged):
    for budget in judged:
        if budget["measured"] is None:
            yield f"NOT MEASURED  {budget['what']}: at most {budget['limit']}"
            continue
        verdict = "kept  " if budget["met"] else "MISSED"
        yield f"{verdict}  {budget['what']}: {rounded(budget['measured'], True, 3)}, at most {budget['limit']}"


def to_json(rows, columns, judged, about):
    """All of it, with every sample, for machines. `about` is put in front."""
    out = []
    for row in rows:
        entry = {key: value for key, value in row.items() if key not in ("ms", "outputs")}
        if "ms" in row:
            entry |= {
                "median_ms": median(row["ms"]),
                "p95_ms": p95(row["ms"]),
                "min_ms": min(row["ms"]),
                "ratio_to_bare": ratio(rows, row, "bare"),
                "ratio_to_bwrap": ratio(rows, row, "bwrap"),
                "samples_ms": row["ms"],
            }
        out.append(entry)
    steps = {heading: step_medians(results) for heading, results in columns.items()}
    return json.dumps(about | {"rows": out, "steps_ms": steps, "budgets": judged}, indent=1) + "\n"
