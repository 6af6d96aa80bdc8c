"""Train the character model: python train.py --config config.toml"""

import argparse
import os
import tomllib

import torch
from model import GPT, GPTConfig
from text import diary


def batches_of(data, size, length, generator):
    starts = torch.randint(len(data) - length - 1, (size, 1), generator=generator)
    rows = data[starts + torch.arange(length + 1)]
    return rows[:, :-1], rows[:, 1:]


@torch.no_grad()
def estimate_loss(model, data, config):
    model.eval()
    generator = torch.Generator().manual_seed(1)
    losses = [model(*batches_of(data, 64, config["block_size"], generator))[1].item() for _ in range(4)]
    model.train()
    return sum(losses) / len(losses)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", default="config.toml")
    parser.add_argument("--seed", type=int, default=1337)
    args = parser.parse_args()
    with open(args.config, "rb") as file:
        config = tomllib.load(file)

    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    text = diary()
    chars = sorted(set(text))
    data = torch.tensor([chars.index(char) for char in text])
    train_data, val_data = data.split([int(0.9 * len(data)), len(data) - int(0.9 * len(data))])

    model = GPT(GPTConfig(block_size=config["block_size"], vocab_size=len(chars)))
    print(f"number of parameters: {sum(p.numel() for p in model.parameters()):,}")
    optimizer = model.configure_optimizer(config["lr"])
    generator = torch.Generator().manual_seed(args.seed)
    for step in range(1, config["steps"] + 1):
        x, y = batches_of(train_data, config["batch_size"], config["block_size"], generator)
        _, loss = model(x, y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step % config["eval_every"] == 0:
            val_loss = estimate_loss(model, val_data, config)
            print(f"step {step}: train_loss={loss.item():.4f} val_loss={val_loss:.4f}", flush=True)

    os.makedirs(config["out_dir"], exist_ok=True)
    torch.save({"model": model.state_dict(), "config": config}, os.path.join(config["out_dir"], "ckpt.pt"))
    print(f"saved to {config['out_dir']}")


if __name__ == "__main__":
    main()
