"""Guided query refinement beside torch: its gradient by autograd, its steps by `torch.optim.Adam`."""

from __future__ import annotations

import numpy as np
import pytest

from docrag.retrieve.fusion.guided_query import Pages, divergence_gradient, refine, softmax_of

torch = pytest.importorskip("torch")


def example(seed: int) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    random = np.random.default_rng(seed)
    pages = [random.normal(size=(random.integers(2, 9), 6)) for _ in range(5)]
    return random.normal(size=(4, 6)), pages, softmax_of(random.normal(size=5), 1.0)


def loss_of(query, pages, target, temperature: float):
    """Divergence of the softmax of MaxSim from `target`, as torch writes it."""
    scores = torch.stack([(query @ torch.from_numpy(page).T).max(dim=1).values.sum() for page in pages])
    logs = torch.log_softmax(scores / temperature, dim=0)
    return torch.nn.functional.kl_div(logs, target, reduction="sum"), torch.softmax(scores / temperature, 0)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_the_gradient_is_that_of_autograd(seed: int, temperature: float):
    query, pages, target = example(seed)
    variable = torch.from_numpy(query).requires_grad_()
    loss_of(variable, pages, torch.from_numpy(target), temperature)[0].backward()
    gradient = divergence_gradient(Pages(pages).meet(query), target, temperature=temperature)
    np.testing.assert_allclose(gradient, variable.grad.numpy(), atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("target", ["fixed", "moving"])
def test_the_steps_are_those_of_adam(seed: int, target):
    query, pages, guide = example(seed)
    refined = refine(query, pages, guide, n_steps=12, learning_rate=1e-3, target=target)
    assert refined.n_steps > 0
    variable = torch.from_numpy(query.copy()).requires_grad_()
    adam = torch.optim.Adam([variable], lr=1e-3)
    others = torch.from_numpy(guide)
    first = loss_of(variable, pages, others, 1.0)[1].detach()
    for _ in range(refined.n_steps):
        now = loss_of(variable, pages, others, 1.0)[1].detach()
        aim = ((first if target == "fixed" else now) + others) / 2
        adam.zero_grad()
        loss_of(variable, pages, aim, 1.0)[0].backward()
        adam.step()
    np.testing.assert_allclose(refined.vectors, variable.detach().numpy(), atol=1e-9)
