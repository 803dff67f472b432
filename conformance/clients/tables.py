"""What the tables share: their form, and calls that several of them make."""

import json

import clients

KEY_ID = "AKIDCONFORMANCE"
SECRET = "conformance/secret+0123456789abcdefghijk"
# Takes many seconds on any machine.
LONG = {"input": "The sea", "max_length": 256, "mode": "sample", "top_k": 0, "num_return_sequences": 64, "seed": 1}


def a_call(url, payload, **changes):
    return clients.Call(url, json.dumps(payload).encode(), KEY_ID, SECRET, **changes)


def print_table(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
