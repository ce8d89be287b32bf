"""Answers compd's frames with an ONNX or a LiteRT file: what would run beside a device.

compd check --original float.onnx --deployed 'cmd: python device_bridge.py int8.onnx' --data photos/

Needs the file's runtime, and nothing of compd. The frames are described in runtimes.md.
"""

import json
import struct
import sys

import numpy

HEADER = struct.Struct("<4sIII")  # what it is, number of the frame, images, bytes that follow


def model_of(path):
    """A function of a batch of float images in 0..1, and the shape of its input."""
    if path.endswith(".onnx"):
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (image,) = session.get_inputs()
        return (lambda x: session.run(None, {image.name: x})[0]), image.shape
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(path).get_signature_runner()
    ((name, image),) = runner.get_input_details().items()
    return (lambda x: next(iter(runner(**{name: x}).values()))), image["shape"]


def main(path):
    """Answer until the input ends."""
    run, shape = model_of(path)
    image = [int(side) for side in shape[1:]]
    classes = run(numpy.zeros((1, *image), numpy.float32)).shape[1]
    batch = shape[0] if type(shape[0]) is str else int(shape[0])  # a name: any number
    said = {"compd": 1, "classes": classes, "input": image, "device": "an example"}
    if type(batch) is int:
        said["batch"] = batch
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    replies.write(json.dumps(said).encode() + b"\n")
    replies.flush()
    while header := requests.read(HEADER.size):
        _, number, count, size = HEADER.unpack(header)
        pixels = numpy.frombuffer(requests.read(size), numpy.uint8).reshape(count, *image)
        try:
            logits = run(pixels.astype(numpy.float32) / 255).astype("<f4").tobytes()
            reply = HEADER.pack(b"CMPr", number, count, len(logits)) + logits
        except Exception as error:  # compd says it to whoever asked
            text = str(error).encode()[:65536]
            reply = HEADER.pack(b"CMPe", number, 0, len(text)) + text
        replies.write(reply)
        replies.flush()


if __name__ == "__main__":
    main(sys.argv[1])
