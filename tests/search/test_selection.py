from types import SimpleNamespace

import pytest
import torch

from das.search.selection import entrants, perturbation, projected, tournament
from das.seeding import derive, generator
from das.video.cell import Cell

RUN = SimpleNamespace(
    seed_for=lambda *purpose: derive("test", *purpose), generator=lambda *purpose: generator("test", *purpose)
)


class Interrupted(Exception):
    pass


class Landscape:
    """In place of a search: held-out accuracy is what ``worth`` says the weights are worth, tuning only counts."""

    def __init__(self, cell, worth, interrupt_after=None):
        self.cell, self.worth, self.run = cell, worth, RUN
        self.history = {"selection": {}}
        self.tuned, self.saves, self.interrupt_after = [], 0, interrupt_after

    def removal(self, to_video, *step):
        accuracy = float((to_video.weights * self.worth).sum())
        return -accuracy, accuracy

    def tune_both(self, relaxed, decision, decisions, *step):
        assert decision == len(self.tuned)
        assert decisions == len(self.cell.edges) + 2
        self.tuned.append(step)

    def save(self):
        self.saves += 1
        if self.saves == self.interrupt_after:
            raise Interrupted


@pytest.fixture
def landscape():
    cell = Cell(nodes=3, node_reduce="sum")
    return cell, torch.rand(cell.alpha.shape, generator=torch.Generator().manual_seed(3))


def best_choice(cell, worth):
    """What perturbation must find where worths add up: per edge the operation with the largest share of the worth, per
    node the two edges whose chosen operation is worth most."""
    operation = (cell.weights() * worth).argmax(1)
    value = worth.gather(1, operation[:, None])[:, 0]
    kept = [edge for edges in cell.family.incoming for edge in sorted(edges, key=lambda e: -value[e])[:2]]
    return {edge: int(operation[edge]) for edge in kept}


def test_perturbation_keeps_what_costs_most_to_remove(landscape):
    cell, worth = landscape
    search = Landscape(cell, worth)
    found = perturbation(search, {})
    assert found == cell.policy_from(best_choice(cell, worth))
    decisions = len(cell.edges) + 2  # nodes 1 and 2 have more than two edges
    assert len(search.tuned) == decisions - 1  # after the last, nothing is left to tune for


def test_perturbation_continues_where_it_was_interrupted(landscape):
    cell, worth = landscape
    for moment in (1, 4, len(cell.edges) + 1):
        search = Landscape(cell, worth, interrupt_after=moment)
        with pytest.raises(Interrupted):
            perturbation(search, {})
        before = len(search.tuned)
        assert perturbation(search, {}) == cell.policy_from(best_choice(cell, worth))
        assert before == moment
        assert len(set(search.tuned)) == len(search.tuned) == len(cell.edges) + 1


def test_projected_weights():
    cell = Cell(nodes=2)
    weights = projected(cell, {0: 3, 2: 1}, {4})
    assert weights[0].tolist() == [0, 0, 0, 1, 0]
    torch.testing.assert_close(weights[1], cell.weights()[1])
    assert weights[2].tolist() == [0, 1.5, 0, 0, 0]
    assert weights[4].tolist() == [0] * 5


class Arena:
    """In place of a search: a policy's held-out loss is looked up, and falls with every tuning of its own weights."""

    def __init__(self, cell, loss_of, count):
        self.cell, self.loss_of, self.run = cell, loss_of, RUN
        self.settings = SimpleNamespace(entrants=count)
        self.network = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(self.network.weight)
        self.history, self.contestants, self.tuned = {"selection": {}}, {}, []

    def tune(self, to_video, *step):
        self.tuned.append(to_video.policy.digest())
        self.network.weight.data += 1

    def held_out(self, to_video):
        return self.loss_of(to_video.policy) - float(self.network.weight.detach()), 0.0

    def save(self):
        pass


def test_the_tournament_is_won_by_the_lowest_loss_and_tunes_own_copies():
    cell = Cell(kind="single", magnitudes="grid")
    everyone = entrants(cell, 100, 0)
    order = [policy.digest() for policy in everyone]
    arena = Arena(cell, lambda policy: order.index(policy.digest()), count=16)
    winner = tournament(arena, {"source": "test"})

    entered = arena.history["selection"]["rounds"][0]
    assert len(entered) == 16
    contestants = entrants(cell, 16, derive("test", "entrants"))
    assert winner.digest() == min((policy.digest() for policy in contestants), key=order.index)
    assert winner.provenance == {"source": "test"}
    assert [len(losses) for losses in arena.history["selection"]["rounds"]] == [16, 8, 4, 2]
    assert arena.tuned.count(winner.digest()) == 4
    assert arena.contestants[next(iter(arena.contestants))]["weight"].item() == 4
    assert arena.network.weight.item() == 0  # shared weights are left as they were


def test_the_tournament_continues_after_its_last_whole_round():
    cell = Cell(kind="single", magnitudes="grid")
    order = [policy.digest() for policy in entrants(cell, 100, 0)]

    def loss_of(policy):
        return order.index(policy.digest())

    whole = Arena(cell, loss_of, count=9)
    expected = tournament(whole, {})
    stopped = Arena(cell, loss_of, count=9)
    saves = []

    def save():
        saves.append(None)
        if len(saves) == 2:
            raise Interrupted

    stopped.save = save
    with pytest.raises(Interrupted):
        tournament(stopped, {})
    assert tournament(stopped, {}) == expected
    assert stopped.history == whole.history
    assert stopped.tuned == whole.tuned


def test_entrants_differ_and_are_all_where_there_are_no_more():
    single = Cell(kind="single", magnitudes="grid")
    assert len({policy.digest() for policy in entrants(single, 5, 0)}) == 5
    assert len(entrants(single, 100, 0)) == single.space_size() == 17
