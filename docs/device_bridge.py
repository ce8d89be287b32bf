"""Answers compd's frames with an ONNX or a LiteRT file that takes floats in 0..1.

compd check --original float.onnx --deployed 'cmd: python device_bridge.py int8.onnx' --data photos/

It needs the file's runtime and nothing of compd. runtimes.md describes the frames.
"""

import json
import struct
import sys

import numpy

HEADER = struct.Struct("<4sIII")  # what it is, number of the frame, images, bytes that follow


def model_of(path):
    """A function from float images to logits, and the shape of its input."""
    if path.endswith(".onnx"):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # sums in one order
        session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        (image,) = session.get_inputs()
        return (lambda x: session.run(None, {image.name: x})[0]), image.shape
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(path, num_threads=1).get_signature_runner()
    ((name, image),) = runner.get_input_details().items()
    return (lambda x: next(iter(runner(**{name: x}).values()))), image["shape"].tolist()


def main(path):
    """Say what is here, then answer until the input ends."""
    run, (batch, *image) = model_of(path)
    most = batch if isinstance(batch, int) else 256  # any number, if that has a name
    classes = run(numpy.zeros((most, *image), numpy.float32)).shape[1]
    said = {"compd": 1, "classes": classes, "input": image, "batch": most, "device": "an example"}
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    replies.write(json.dumps(said).encode() + b"\n")
    replies.flush()
    while header := requests.read(HEADER.size):
        _, number, count, size = HEADER.unpack(header)
        pixels = numpy.frombuffer(requests.read(size), numpy.uint8).reshape(count, *image)
        try:
            body = run(pixels.astype(numpy.float32) / 255).astype("<f4").tobytes()
            reply = HEADER.pack(b"CMPr", number, count, len(body)) + body
        except Exception as error:
            body = str(error).encode()[:65536]
            reply = HEADER.pack(b"CMPe", number, 0, len(body)) + body
        replies.write(reply)
        replies.flush()


main(sys.argv[1])
