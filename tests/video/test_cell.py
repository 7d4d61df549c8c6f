import pytest
import torch
from torch.nn import functional as F

from das.errors import DasError
from das.video.cell import Cell
from das.video.compiled import CompiledPolicy
from das.video.operations import operation_named
from das.video.policy import Choice, Edge, Policy
from das.video.schedule import strengths


def images(*shape, dtype=torch.float32):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1), dtype=dtype)


def mixed_policy(cell, weights):
    """The cell's own weights as the policy of all its edges, mixtures kept."""
    nodes = []
    for edges in cell.family.incoming:
        made = []
        for edge in edges:
            source = cell.edges[edge][0] - cell.family.inputs
            mixture = tuple(
                Choice(choice.operation, choice.magnitudes, weight.item())
                for choice, weight in zip(cell.candidates[edge], weights[edge], strict=True)
            )
            made.append(Edge("image" if source < 0 else source, mixture))
        nodes.append(tuple(made))
    family = cell.family
    return Policy(family.frames, tuple(nodes), family.schedule, family.padding, family.node_reduce)


@pytest.mark.parametrize(
    "settings",
    [
        dict(padding="zeros", nodes=3),
        dict(padding="border", nodes=2, schedule="signed"),
        dict(padding="reflection", nodes=2, space="affine7", frames=3),
        dict(kind="single", space="compound", frames=5),
        dict(kind="single", magnitudes="grid", schedule="signed"),
        dict(nodes=2, node_reduce="sum", frames=2),
        dict(nodes=2, magnitudes="learnable"),
    ],
    ids=str,
)
def test_cell_is_its_definition(slow, settings):
    cell = Cell(seed=5, **{"frames": 4, **settings})
    with torch.no_grad():
        cell.alpha.normal_(generator=torch.Generator().manual_seed(2))
    x = images(1, 2, 6, 9, dtype=torch.float64)
    policy = mixed_policy(cell, cell.alpha.double().softmax(-1))
    times = strengths(policy.schedule, policy.frames)
    expected = slow.video(x, policy, times, slow.frame_step_by_step)
    torch.testing.assert_close(cell(x, cell.alpha.double().softmax(-1)), expected, atol=2e-8, rtol=0)
    torch.testing.assert_close(cell(x.float()).double(), expected, atol=5e-6, rtol=0)


def grid_sampled(x, choice, strength, padding):
    """One operation as published search code writes it, with affine_grid and grid_sample; photometric ones as such."""
    operation = operation_named(choice.operation)
    if operation.recolor:
        return operation.recolor(x, choice.magnitudes[0], strength)
    height, width = x.shape[-2:]
    magnitudes = torch.tensor(choice.magnitudes, dtype=torch.float64)
    theta = operation.inverse(magnitudes, torch.tensor([strength]).double(), height, width)[:, :2]
    theta = theta * torch.tensor([[1, height / width, 2 / width], [width / height, 1, 2 / height]])
    grid = F.affine_grid(theta.expand(len(x), -1, -1), x.shape, align_corners=False)
    return F.grid_sample(x, grid, padding_mode=padding, align_corners=False)


def naive(x, weights, cell):
    """The cell, candidate by candidate, edge by edge, frame by frame."""
    frames = []
    for strength in strengths(cell.family.schedule, cell.family.frames):
        states = [x] * cell.family.inputs
        for edges in cell.family.incoming if strength else ():
            total = 0
            for edge in edges:
                source = states[cell.edges[edge][0]]
                for choice, weight in zip(cell.candidates[edge], weights[edge], strict=True):
                    total = total + weight * grid_sampled(source, choice, strength, cell.family.padding)
            states.append(total / len(edges))
        frames.append(states[-1])
    return torch.stack(frames, 1)


@pytest.mark.parametrize(
    ("space", "padding"), [("affine5", "zeros"), ("affine5", "border"), ("affine7", "reflection"), ("full", "zeros")]
)
def test_gradients_are_those_of_autograd_through_grid_sample(space, padding):
    cell = Cell(space, frames=5, schedule="signed", seed=3, nodes=3, padding=padding)
    x = images(2, 3, 12, 10, dtype=torch.float64).requires_grad_()
    weights = torch.rand(cell.alpha.shape, dtype=torch.float64).softmax(-1).requires_grad_()
    direction = images(2, 5, 3, 12, 10, dtype=torch.float64)
    ours, theirs = cell(x, weights), naive(x, weights, cell)
    torch.testing.assert_close(ours, theirs, atol=1e-7, rtol=0)
    inputs = (weights, x)
    gradients = (torch.autograd.grad(video, inputs, direction) for video in (ours, theirs))
    for mine, reference in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, reference, atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize("space", ["affine7", "compound", "full"])
def test_learnable_magnitudes_have_the_slope_of_the_video(space):
    cell = Cell(space, kind="single", frames=3, schedule="signed", magnitudes="learnable", seed=1).double()
    x, weights = images(1, 3, 8, 7, dtype=torch.float64), cell.weights().detach()
    direction = images(1, 3, 3, 8, 7, dtype=torch.float64)
    cell(x, weights).backward(direction)
    stepped = ("solarize", "posterize")  # thresholds and bits: no slope to learn from
    for column, choice in enumerate(cell.candidates[0]):
        for part in range(len(choice.magnitudes)) if choice.operation not in stepped else ():
            values = []
            for step in (1e-7, -2e-7):
                with torch.no_grad():
                    cell.magnitude[0, column, part] += step
                    values.append((cell(x, weights) * direction).sum().item())
            with torch.no_grad():
                cell.magnitude[0, column, part] += 1e-7
            slope = (values[0] - values[1]) / 2e-7
            assert cell.magnitude.grad[0, column, part].item() == pytest.approx(slope, rel=1e-3, abs=1e-5), choice


def test_learned_magnitudes_stay_in_range_and_reach_the_policy():
    cell = Cell(kind="single", frames=3, magnitudes="learnable")
    with torch.no_grad():
        cell.magnitude.fill_(7)
        cell.alpha[0, 3] = 9
    cell(images(1, 1, 4, 4))
    assert cell.magnitude.max() == 1
    assert cell.policy().nodes[0][0].mixture == (Choice("zoom", (1.3,)),)


@pytest.mark.parametrize("settings", [dict(seed=2), dict(seed=2, magnitudes="learnable")])
def test_photometric_candidates(settings):
    """The mixture of a single edge is the weighted sum of each candidate's own policy."""
    cell = Cell("full", kind="single", frames=4, schedule="signed", **settings)
    x = images(2, 3, 8, 9)
    weights = cell.weights()
    parts = [
        CompiledPolicy(cell.policy_from({0: column}), 8, 9)(x) * weight for column, weight in enumerate(weights[0])
    ]
    expected = sum(parts)
    got = cell(x)
    moving = [t for t in range(4) if t != 2]
    torch.testing.assert_close(
        got[:, moving], expected[:, moving], atol=2e-3 if cell.family.magnitudes == "learnable" else 1e-5, rtol=0
    )
    direction = images(*got.shape)
    direction[:, 2] = 0
    ours, theirs = (torch.autograd.grad(video, cell.alpha, direction)[0] for video in (got, expected))
    torch.testing.assert_close(ours, theirs, atol=1e-3 if cell.family.magnitudes == "learnable" else 1e-4, rtol=1e-3)


def test_alpha_starts_small_and_from_the_seed():
    first, again, other = Cell(seed=1), Cell(seed=1), Cell(seed=2)
    assert torch.equal(first.alpha, again.alpha)
    assert not torch.equal(first.alpha, other.alpha)
    assert 0 < first.alpha.std() < 2e-3
    assert first.alpha.shape == (14, 5)


def test_untouched_frame_and_equal_frames():
    cell, x = Cell(frames=8), images(2, 3, 10, 10)
    video = cell(x)
    assert torch.equal(video[:, 4], x)
    assert torch.equal(video[:, 1], video[:, 7])
    assert not torch.equal(video[:, 0], video[:, 1])


def test_sums_reach_sixteen_times_the_amplitude():
    cell = Cell(frames=1, node_reduce="sum")
    x = images(1, 1, 4, 4)
    torch.testing.assert_close(cell(x), 16 * x[:, None])
    assert Cell(frames=1)(x).equal(x[:, None])


def test_scrambled_layout_is_the_view_without_permute():
    x = images(2, 3, 5, 4)
    frames, scrambled = Cell(frames=4, seed=1)(x), Cell(frames=4, seed=1, frame_layout="scrambled")(x)
    expected = frames.permute(0, 2, 1, 3, 4).contiguous().view(2, 4, 3, 5, 4)
    assert torch.equal(scrambled, expected)


def test_canvas_is_padding_first():
    x = images(2, 3, 5, 8)
    on_canvas = Cell(seed=1, canvas=12)(x)
    assert torch.equal(on_canvas, Cell(seed=1)(F.pad(x, [2, 2, 3, 4])))


@pytest.mark.parametrize("frames", [1, 2, 3, 7])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (13, 2)])
def test_any_length_and_size(frames, size):
    video = Cell(frames=frames, seed=1)(images(2, 1, *size))
    assert video.shape == (2, frames, 1, *size)
    assert video.isfinite().all()


def test_channels_last_and_bfloat16():
    cell, x = Cell(seed=1), images(4, 3, 9, 8)
    video = cell(x)
    assert torch.equal(cell(x.contiguous(memory_format=torch.channels_last)), video)
    half = x.bfloat16()
    assert cell(half).dtype == torch.bfloat16
    torch.testing.assert_close(cell(half).float(), cell(half.float()), atol=4e-3, rtol=0)


def test_constant_weights_skip_absent_candidates_without_changing_the_video():
    cell, x = Cell(seed=1), images(2, 3, 8, 8)
    one_hot = F.one_hot(cell.alpha.argmax(-1), 5).float()
    torch.testing.assert_close(cell(x, one_hot), cell(x, one_hot.clone().requires_grad_()), atol=1e-6, rtol=0)
    straight_through = one_hot + cell.weights() - cell.weights().detach()
    cell(x, straight_through).sum().backward()
    assert (cell.alpha.grad != 0).all(1).any()


@pytest.mark.parametrize("space", ["affine5", "full"])
def test_one_and_two_threads_agree_to_the_bit(space):
    x, before = images(12, 3, 32, 32), torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            cell = Cell(space, frames=3, seed=1, nodes=2)
            video = cell(x)
            video.backward(images(*video.shape))
            results.append((video.detach(), cell.alpha.grad))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize(("space", "share"), [("affine5", 0.15), ("full", 0.15)])
def test_memory_kept_for_the_gradient_is_a_fraction_of_all_candidates(space, share):
    cell, x = Cell(space, frames=8), images(16, 3, 16, 16)
    cell(x)
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        video = cell(x)
    assert sum(kept.values()) < share * cell.alpha.numel() * video.nbytes


def test_cache_made_in_inference_mode_serves_training():
    cell, x = Cell(seed=1), images(2, 3, 8, 8)
    with torch.inference_mode():
        cell(x)
    cell(x).sum().backward()
    assert cell.alpha.grad.isfinite().all()


def test_policy_keeps_the_two_strongest_edges():
    cell = Cell(nodes=2)
    with torch.no_grad():
        cell.alpha.zero_()
        cell.alpha[0, 1] = cell.alpha[1, 2] = cell.alpha[3, 3] = cell.alpha[4, 4] = 2
        cell.alpha[2] = 5  # large, but no candidate stands out
    assert cell.policy() == cell.policy_from({0: 1, 1: 2, 3: 3, 4: 4})
    weights = torch.zeros(5, 5)
    weights[[0, 1, 2, 4], 0] = 1
    assert cell.policy(weights) == cell.policy_from({0: 0, 1: 0, 2: 0, 4: 0})


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.rand(3, 8, 8), r"images: shape \(3, 8, 8\) is not \(B, C, H, W\)"),
        (torch.rand(2, 3, 0, 8), r"images: shape \(2, 3, 0, 8\)"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), "images: dtype torch.uint8"),
        (torch.rand(2, 3, 8, 30), "8 x 30 pixels do not fit on a canvas of side 16"),
    ],
)
def test_images_that_cannot_work_are_refused(x, message):
    with pytest.raises(DasError, match=message):
        Cell(canvas=16)(x)


def test_weights_of_another_shape_are_refused():
    with pytest.raises(DasError, match=r"weights: shape \(3, 5\) is not \(14, 5\)"):
        Cell()(torch.rand(1, 1, 4, 4), torch.ones(3, 5))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("space", ["affine5", "full"])
def test_cuda_agrees_and_is_deterministic(space):
    torch.use_deterministic_algorithms(True)
    try:
        results = []
        for device in ("cpu", "cuda", "cuda"):
            cell = Cell(space, seed=1).to(device)
            x = images(4, 3, 32, 32).to(device).requires_grad_()
            video = cell(x)
            video.backward(images(*video.shape).to(device))
            results.append([tensor.detach().cpu() for tensor in (video, cell.alpha.grad, x.grad)])
    finally:
        torch.use_deterministic_algorithms(False)
    for cpu, cuda, again in zip(*results, strict=True):
        torch.testing.assert_close(cpu, cuda, atol=1e-4, rtol=1e-3)
        assert torch.equal(cuda, again)
