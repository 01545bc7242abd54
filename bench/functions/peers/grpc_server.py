"""An echo function behind gRPC, as Python users write it: a thread pool, JSON in and out. Prints its address."""

import json
import sys
from concurrent import futures

import grpc


def echo(request, context):
    return json.dumps(json.loads(request)["text"]).encode()


def main():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
        "bench.Functions", {"Echo": grpc.unary_unary_rpc_method_handler(echo)}),))
    server.add_insecure_port("unix:" + sys.argv[1])
    server.start()
    print("ready", flush=True)
    sys.stdin.read()
    server.stop(None)


main()
