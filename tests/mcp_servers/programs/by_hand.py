"""A server of the older era in a few lines, which does what a test's file says: {"tools": […], "crash": "start" | "call" | "once",
"hang": seconds, "noise": text}. Each start is a line in $STARTS."""
import json
import os
import sys
import time

plan = json.load(open(os.environ["PLAN"]))
starts = os.environ["STARTS"]
with open(starts, "a") as file:
    file.write("start\n")
count = len(open(starts).readlines())
if plan.get("crash") == "start":
    sys.stderr.write("no licence \x1b[31mfound\x1b[0m\n")
    sys.exit(3)
if plan.get("noise"):
    print(plan["noise"], flush=True)


def say(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


for line in sys.stdin:
    message = json.loads(line)
    method, id = message.get("method"), message.get("id")
    plan = json.load(open(os.environ["PLAN"]))
    if method == "initialize":
        say({"jsonrpc": "2.0", "id": id, "result": {"protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {"listChanged": True}},
                                                    "serverInfo": {"name": "by-hand", "version": "1"}}})
    elif method == "tools/list":
        say({"jsonrpc": "2.0", "id": id, "result": {"tools": plan["tools"]}})
    elif method == "tools/call":
        if plan.get("crash") == "call" or (plan.get("crash") == "once" and count == 1):
            sys.stderr.write("a wheel came off\n")
            sys.stderr.flush()
            os._exit(4)
        time.sleep(plan.get("hang", 0))
        if message["params"]["name"] == "change":
            plan["tools"] = json.loads(message["params"]["arguments"]["tools"])
            json.dump(plan, open(os.environ["PLAN"], "w"))
            say({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
        say({"jsonrpc": "2.0", "id": id, "result": {"content": [{"type": "text", "text": json.dumps(message["params"]["arguments"])}]}})
    elif method == "notifications/cancelled":
        with open(starts, "a") as file:
            file.write("cancelled\n")
    elif id is not None:
        say({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no " + method}})
with open(starts, "a") as file:
    file.write("end\n")
