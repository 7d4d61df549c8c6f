"""VOC 2012 and Cityscapes with the paper's recipes, from the publishers' archives to a row of the table.

Everything is as `config/paper_segmentation.yaml` has it but sizes, epochs, network and device.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from das import data
from das.analysis.segmentation import segmentation_table
from das.data.prepared import prepare
from das.engine.checkpoint import load_model
from das.engine.train import train
from das.search.make import control_policy, search_policy
from das.study import load_study, of_study
from das.video.policy import Policy

ROOT = Path(__file__).parents[2]
TINY = """
study: {{datasets: [{name}], methods: [{methods}], seeds: [0]}}
compute: {{device: cpu, precision: float32}}
datasets:
  {name}:
    root: {root}
    options: {options}
    augment: [{{random_scale_crop: {{size: 32, base: 36, scale: [0.5, 2.0]}}}}, random_flip]
backbones:
  pspnet_resnet50: {{network: resnet20, options: {{width: 8}}, pretrained: false, head: {{output_stride: 4}}}}
recipes:
  {name}:
    epochs: 1
    batch_size: 2
    segmentation: {{head_lr: 10.0, evaluation: {{size: native, window: 32, scales: [1.0, 0.8], flip: true}}}}
cells: {{quick: {{frames: 2}}}}
searches: {{quick: {{epochs: 1, batch_size: 2}}}}
"""


@pytest.mark.parametrize(
    ("name", "methods", "options"),
    [
        ("voc2012", ["baseline", "das"], {"size": 32, "augmented": True}),
        ("cityscapes", ["baseline", "random"], {"size": 32}),
    ],
)
def test_from_the_archive_to_the_table(name, methods, options, official, place, tmp_path, monkeypatch):
    root = place(getattr(official, name)(), name)
    prepare(name, root)
    monkeypatch.chdir(tmp_path)
    content = TINY.format(name=name, methods=", ".join(methods), root=root, options=json.dumps(options))
    Path("tiny.yaml").write_text(content)
    study = load_study([ROOT / "params.yaml", ROOT / "config/paper_segmentation.yaml", "tiny.yaml"])
    dataset = data.load(name, root=root, options=options)
    for number in of_study(study):
        made_by = number.made_by
        if made_by:
            search_policy(made_by, dataset) if made_by.searches else control_policy(made_by)
        train(number, dataset, Policy.load(made_by.main) if made_by else None)
        assert json.loads(number.number.read_text())["settings"]["recipe"]["schedule"] == "poly"
    table = segmentation_table(study).set_index("name")
    assert table.seeds.tolist() == [1, 1]
    for number in of_study(study):
        model = load_model(number.checkpoint)
        said = []  # the logarithm of the probability of each pixel's label
        for image, mask in zip(dataset.test.files, dataset.test.targets, strict=True):
            pixels = torch.from_numpy(np.array(Image.open(image))).permute(2, 0, 1)[None].float() / 255
            labels = torch.from_numpy(np.array(Image.open(mask))).long()
            with torch.no_grad():
                logarithms = model.predict(pixels)[0].log_softmax(0)
            said += [logarithms[labels[y, x], y, x] for y, x in (labels != 255).nonzero().tolist()]
        last = json.loads(number.number.read_text())["last"]
        assert last["loss"] == pytest.approx(-float(torch.stack(said).mean()), rel=1e-3)
        assert model.policy.frames == (1 if number.method == "baseline" else 2)
        assert table.miou[number.method] == pytest.approx(100 * last["miou"])
