"""The smallest HTTP server for OpenVINO GenAI: `openvino_server.py DIRECTORY THREADS PORT`.

One thread steps the pipeline, which batches continuously; each connection has a thread that waits for its answer.
The request is {"prompt", "max_tokens", "n", "top_k", "top_p"}, the answer a list of texts.
"""

import itertools
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openvino_engine
import openvino_genai as ov_genai


class Engine:
    def __init__(self, directory: str, threads: int):
        self.pipeline = openvino_engine.load(directory, threads)
        self.tokenizer = self.pipeline.get_tokenizer()
        self.numbers = itertools.count()
        self.arrived = threading.Condition()
        self.open = []  # Of (handle, event).

    def generate(self, prompt: str, config: ov_genai.GenerationConfig) -> list[str]:
        done = threading.Event()
        with self.arrived:
            handle = self.pipeline.add_request(next(self.numbers), prompt, config)
            self.open.append((handle, done))
            self.arrived.notify()
        done.wait()
        return self.tokenizer.decode([output.generated_ids for output in handle.read_all()])

    def run(self) -> None:
        while True:
            with self.arrived:
                self.arrived.wait_for(lambda: self.open)
            self.pipeline.step()
            with self.arrived:
                finished = [each for each in self.open if each[0].get_status() != ov_genai.GenerationStatus.RUNNING]
                self.open = [each for each in self.open if each not in finished]
            for _, done in finished:
                done.set()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer({})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        sample = {"n": request["n"], "topK": request["top_k"], "topP": request["top_p"]}
        self.answer(engine.generate(request["prompt"], openvino_engine.settings(request["max_tokens"], sample)))

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


engine = Engine(sys.argv[1], int(sys.argv[2]))
threading.Thread(target=engine.run, daemon=True).start()
Server(("127.0.0.1", int(sys.argv[3])), Handler).serve_forever()
