"""A job of your own: train `char_model.py` on text and score it.

    ge evolve examples/char_model.py --evaluator char_job:score --objectives accuracy --objectives parameters

from the folder `examples`, or with it on PYTHONPATH. The function gets the path of a candidate's file and
a budget, and returns the objectives, the standard errors of those that chance moves, and a sentence that the
next prompt may show.
"""

import importlib.util

import torch
from torch.nn.functional import cross_entropy

LENGTH = 64
STEPS = 60
LESSON = "".join(
    f"{a} times {b} is {a * b}. {b} plus {a} is {a + b}.\n" for a in range(40) for b in range(40)
)
ALPHABET = sorted(set(LESSON))


def score(path, budget):
    """Accuracy of the next character on text that was held out, its standard error over the rows of that
    text, and the number of parameters. Of 128 rows every other one is for the test split."""
    torch.manual_seed(budget["seed"])
    torch.set_num_threads(1)
    module = load(path)
    model = module.CharModel(vocabulary=len(ALPHABET))
    optimizer = module.get_optimizer(model, 3e-3)
    tokens = torch.tensor([ALPHABET.index(character) for character in LESSON])
    rows, training = tokens[: 128 * (LENGTH + 1)].view(128, -1), tokens[128 * (LENGTH + 1) :]
    held_out = rows[1::2] if budget["split"] == "test" else rows[::2]
    for _ in range(STEPS):
        starts = torch.randint(len(training) - LENGTH - 1, (16, 1))
        loss = loss_of(model, training[starts + torch.arange(LENGTH + 1)])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        right = model(held_out[:, :-1]).argmax(-1) == held_out[:, 1:]
        final = float(loss_of(model, held_out))
    shares = right.float().mean(1)
    return {
        "accuracy": float(shares.mean()),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "errors": {"accuracy": float(shares.std() / len(shares) ** 0.5)},
        "feedback": f"After {STEPS} steps the held-out loss is {final:.3f} nats a character.",
    }


def loss_of(model, rows):
    logits = model(rows[:, :-1])
    return cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())


def load(path):
    spec = importlib.util.spec_from_file_location("candidate", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
