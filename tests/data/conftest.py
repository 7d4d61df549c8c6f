"""Small archives in the official layouts, and a server on the loopback interface that misbehaves on request."""

import gzip
import io
import pickle
import struct
import tarfile
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def picture(seed: int, height: int = 40, width: int = 48) -> np.ndarray:
    """A smooth random picture, uint8 (H, W, 3)."""
    small = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return np.array(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def encoded(array: np.ndarray, kind: str = "JPEG", **how) -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).save(out, kind, **how)
    return out.getvalue()


def tar_bytes(members: dict[str, bytes], mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def zip_bytes(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


class Official:
    """Archives as their publishers lay them out, with pictures of our own."""

    def fashion_mnist(self) -> dict[str, bytes]:
        random = np.random.default_rng(0)
        files = {}
        for split, count in (("train", 40), ("t10k", 20)):
            images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
            labels = (np.arange(count) % 10).astype(np.uint8)
            header = struct.pack(">4B3i", 0, 0, 8, 3, count, 28, 28)
            files[f"{split}-images-idx3-ubyte.gz"] = gzip.compress(header + images.tobytes())
            header = struct.pack(">4Bi", 0, 0, 8, 1, count)
            files[f"{split}-labels-idx1-ubyte.gz"] = gzip.compress(header + labels.tobytes())
        return files

    def cifar10(self) -> dict[str, bytes]:
        names = [b"airplane", b"automobile", b"bird", b"cat", b"deer", b"dog", b"frog", b"horse", b"ship", b"truck"]
        members = {"batches.meta": {b"label_names": names}}
        for k in range(1, 7):
            data = np.random.default_rng(k).integers(0, 256, (20, 3072), dtype=np.uint8)
            name = f"data_batch_{k}" if k < 6 else "test_batch"
            members[name] = {b"data": data, b"labels": [(i + k) % 10 for i in range(20)], b"batch_label": b"x"}
        packed = {f"cifar-10-batches-py/{n}": pickle.dumps(c, protocol=2) for n, c in members.items()}
        return {"cifar-10-python.tar.gz": tar_bytes(packed, "w:gz")}

    def cifar100(self) -> dict[str, bytes]:
        members = {"meta": {b"fine_label_names": [b"class_%d" % k for k in range(100)], b"coarse_label_names": []}}
        for seed, (name, count) in enumerate((("train", 200), ("test", 100))):
            data = np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)
            labels = [i % 100 for i in range(count)]
            members[name] = {b"data": data, b"fine_labels": labels, b"coarse_labels": [0] * count}
        packed = {f"cifar-100-python/{n}": pickle.dumps(c, protocol=2) for n, c in members.items()}
        return {"cifar-100-python.tar.gz": tar_bytes(packed, "w:gz")}

    def tiny_imagenet(self) -> dict[str, bytes]:
        wnids = ["n03", "n01", "n02"]
        top = "tiny-imagenet-200/"
        members = {
            top + "wnids.txt": "\n".join(wnids).encode(),
            top + "words.txt": b"n01\tgoldfish, Carassius auratus\nn02\tnewt\nn03\tfrog, toad\nn99\tother",
        }
        annotations = []
        for k, wnid in enumerate(wnids):
            boxes = "".join(f"{wnid}_{i}.JPEG\t0\t0\t9\t9\n" for i in range(2))
            members[f"{top}train/{wnid}/{wnid}_boxes.txt"] = boxes.encode()
            for i in range(2):
                image = picture(10 * k + i, 64, 64)
                image = image[..., 0] if i else image  # gray images are among the official ones
                members[f"{top}train/{wnid}/images/{wnid}_{i}.JPEG"] = encoded(image)
            members[f"{top}val/images/val_{k}.JPEG"] = encoded(picture(100 + k, 64, 64))
            annotations.append(f"val_{k}.JPEG\t{wnid}\t0\t0\t9\t9")
        members[top + "val/val_annotations.txt"] = "\n".join(annotations).encode()
        members[top + "test/images/test_0.JPEG"] = encoded(picture(200, 64, 64))
        return {"tiny-imagenet-200.zip": zip_bytes(members)}

    def imagenet(self) -> dict[str, bytes]:
        from scipy.io import savemat

        kinds = [("ILSVRC2012_ID", "i4"), ("WNID", "O"), ("words", "O"), ("gloss", "O"), ("num_children", "i4")]
        synsets = np.array(
            [(1, "n02", "shark, great white", "", 0), (2, "n01", "tench", "", 0), (3, "n00", "animal", "", 2)], kinds
        )
        meta = io.BytesIO()
        savemat(meta, {"synsets": synsets})
        devkit = {
            "ILSVRC2012_devkit_t12/data/meta.mat": meta.getvalue(),
            "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt": b"2\n1\n2\n",
            "ILSVRC2012_devkit_t12/readme.txt": b"",
        }
        train = {
            f"{wnid}.tar": tar_bytes({f"{wnid}_{i}.JPEG": encoded(picture(10 * k + i)) for i in range(3)})
            for k, wnid in enumerate(("n01", "n02"))
        }
        validation = {f"ILSVRC2012_val_0000000{i}.JPEG": encoded(picture(50 + i)) for i in (1, 2, 3)}
        return {
            "ILSVRC2012_img_train.tar": tar_bytes(train),
            "ILSVRC2012_img_val.tar": tar_bytes(validation),
            "ILSVRC2012_devkit_t12.tar.gz": tar_bytes(devkit, "w:gz"),
        }

    def voc2012(self) -> dict[str, bytes]:
        from scipy.io import savemat

        top = "VOCdevkit/VOC2012/"
        members = {
            top + "ImageSets/Segmentation/train.txt": b"a\nb\n",
            top + "ImageSets/Segmentation/val.txt": b"c\n",
            top + "ImageSets/Main/train.txt": b"a\n",
        }
        for k, name in enumerate("abcde"):
            members[f"{top}JPEGImages/{name}.jpg"] = encoded(picture(k))
        for k, name in enumerate("abc"):
            mask = Image.fromarray(np.full((40, 48), k + 1, np.uint8))
            mask.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
            out = io.BytesIO()
            mask.save(out, "PNG")
            members[f"{top}SegmentationClass/{name}.png"] = out.getvalue()
        sbd = {"benchmark_RELEASE/dataset/train.txt": b"c\nd\n"}
        for k, name in enumerate("cdz"):  # c is in VOC's val, d among VOC's images, z is SBD's own
            sbd[f"benchmark_RELEASE/dataset/img/{name}.jpg"] = encoded(picture(20 + k))
            mat = io.BytesIO()
            savemat(mat, {"GTcls": {"Segmentation": np.full((40, 48), 5 + k, np.uint8)}})
            sbd[f"benchmark_RELEASE/dataset/cls/{name}.mat"] = mat.getvalue()
        return {"VOCtrainval_11-May-2012.tar": tar_bytes(members), "benchmark.tgz": tar_bytes(sbd, "w:gz")}

    def cityscapes(self) -> dict[str, bytes]:
        images, masks = {"README": b""}, {"README": b""}
        for k, (split, city) in enumerate((("train", "ulm"), ("train", "bochum"), ("val", "lindau"), ("test", "bonn"))):
            name = f"{split}/{city}/{city}_000000_00001{k}"
            images[f"leftImg8bit/{name}_leftImg8bit.png"] = encoded(picture(k), "PNG")
            ids = np.full((40, 48), 7, np.uint8)  # road
            ids[:, 24:], ids[:5], ids[-5:] = 26, 4, 33  # car, static (ignored), bicycle
            masks[f"gtFine/{name}_gtFine_labelIds.png"] = encoded(ids, "PNG")
            masks[f"gtFine/{name}_gtFine_color.png"] = encoded(picture(k), "PNG")
        return {"leftImg8bit_trainvaltest.zip": zip_bytes(images), "gtFine_trainvaltest.zip": zip_bytes(masks)}


@pytest.fixture(scope="session")
def official() -> Official:
    return Official()


@pytest.fixture
def place(tmp_path):
    """Write {name: content} into a folder and return it."""

    def write(files: dict[str, bytes], folder: str = "raw") -> Path:
        root = tmp_path / folder
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        return root

    return write


class Server:
    """Serves ``files`` at ``url``; ``faults`` lists what happens to the next requests, one each; ``ranges`` logs them.

    Faults: an HTTP status; "drop" (half of what was asked for, then the line is cut); "silent" (nothing for a while);
    "whole" (Range is ignored).
    """

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.faults: list = []
        self.ranges: list[str | None] = []
        self.delay = 0.0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.handle_error = lambda *_: None  # a client that hangs up is no news
        self.url = f"http://127.0.0.1:{self.httpd.server_port}"
        threading.Thread(target=self.httpd.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.ranges.append(wanted)
        fault = self.faults.pop(0) if self.faults else None
        content = self.files.get(request.path.lstrip("/"))
        if content is None or isinstance(fault, int):
            request.send_error(fault or 404)
            return
        if fault == "silent":
            time.sleep(0.5)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and fault != "whole" else 0
        if start >= len(content):
            request.send_error(416)
            return
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        rest = content[start:]
        rest = rest[: len(rest) // 2] if fault == "drop" else rest
        for k in range(0, len(rest), 4096):
            request.wfile.write(rest[k : k + 4096])
            time.sleep(self.delay)


@pytest.fixture
def server():
    running = Server()
    yield running
    running.httpd.shutdown()
    running.httpd.server_close()
