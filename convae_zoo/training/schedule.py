"""The learning rate of a step."""

import math

from convae_zoo.registry.specs import Recipe


def learning_rate_at(recipe: Recipe, step: int, steps: int) -> float:
    """Return the learning rate of one optimiser step.

    It rises linearly over the recipe's warm-up, and then stays (``constant``) or decays to zero,
    along half a cosine (``cosine``) or linearly (``linear``). It depends on nothing else, so a run
    can begin at any step.

    Args:
        recipe: the highest learning rate, the schedule, the warm-up.
        step: steps that are done, from 0.
        steps: steps of the whole run.
    """
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    if recipe.schedule == "constant":
        return recipe.learning_rate
    left = max(1, steps - recipe.warmup_steps)
    done = min(1.0, (step - recipe.warmup_steps) / left)
    share = 1 - done if recipe.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))
    return recipe.learning_rate * share
