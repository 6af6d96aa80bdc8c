"""Somebody's training script, unchanged but for its last line, which prints the scores as JSON.

    ge evolve examples/plain_cnn.py --command "python examples/own_script.py --model {path} --seed {seed}"

It keeps what it liked: its own data, loop, optimizer and metrics.
"""

import argparse
import importlib.util
import json

import torch
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=2)
    asked = parser.parse_args()

    torch.manual_seed(asked.seed)
    torch.set_num_threads(1)
    spec = importlib.util.spec_from_file_location("candidate", asked.model)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.PlainCNN(num_classes=10, in_channels=1)

    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(digits.target)
    training, held_out = torch.randperm(len(labels), generator=torch.Generator().manual_seed(1)).split(
        [1400, 397]
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(asked.epochs):
        model.train()
        for picked in training[torch.randperm(len(training))].split(50):
            loss = cross_entropy(model(images[picked]), labels[picked])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}")
    model.eval()
    with torch.no_grad():
        right = (model(images[held_out]).argmax(1) == labels[held_out]).float().mean().item()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(json.dumps({"accuracy": right, "parameters": parameters}))


if __name__ == "__main__":
    main()
