"""Runs functions of the probe that argument 1 names in this plain process: lines of JSON in, lines of JSON out."""
import importlib.util
import json
import sys

import sabir

spec = importlib.util.spec_from_file_location("sdk_probe", sys.argv[1])
probe = importlib.util.module_from_spec(spec)
spec.loader.exec_module(probe)
for line in sys.stdin:
    name, arguments = json.loads(line)
    try:
        answer = {"value": getattr(probe, name)(**arguments)}
    except sabir.Error as error:
        answer = {"error": {"type": error.type, "message": error.message}}
    print(json.dumps(answer), flush=True)
