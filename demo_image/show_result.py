#!/usr/bin/env python3
"""Shows the result of `cove run --json` to a reader: show_result.py FILE"""

import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    result = json.load(file)
print("\n==> What it printed")
print(result["stdout"] + result["stderr"], end="")
print(f"\n==> {result['process_status']} ({result['cause']}), exit code {result['exit_code']}: "
      f"started in {result['startup_ms']:.1f} ms, ran for {result['duration_ms']:.1f} ms")
