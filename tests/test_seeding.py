import hashlib

import torch

from das.seeding import derive, generator


def test_a_seed_is_the_hash_of_its_identity():
    expected = int(hashlib.sha256(b"das\x1f3").hexdigest()[:16], 16) // 2
    assert derive("das", 3) == expected


def test_parts_of_an_identity_do_not_run_together():
    assert len({derive("a", "bc"), derive("ab", "c"), derive("abc"), derive("a", "b", "c")}) == 4


def test_generators_of_one_identity_draw_alike_whatever_else_is_drawn():
    first = torch.rand(4, generator=generator("x", 1))
    torch.rand(100)
    assert torch.equal(first, torch.rand(4, generator=generator("x", 1)))
    assert not torch.equal(first, torch.rand(4, generator=generator("x", 2)))
