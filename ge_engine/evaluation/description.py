"""What is trained on and how, in words, for prompts and for the heading of a run."""

from __future__ import annotations

from ge_engine.config import Recipe
from ge_engine.evaluation.protocol.messages import SessionSpec


def described(session: SessionSpec, recipe: Recipe) -> str:
    """Shape and number of the images, classes, and the training; a line each."""
    trained, validated = (session.arrays[name].shape[0] for name in ("train", "validation"))
    image = f"{session.channels}x{session.size}x{session.size}"
    optimizer = "the optimizer of the file" if recipe.optimizer == "seed" else recipe.optimizer
    details = [
        f"{recipe.epochs} {'epoch' if recipe.epochs == 1 else 'epochs'} in batches of {recipe.batch_size}",
        f"{optimizer} with lr {recipe.lr:g} ({recipe.lr_schedule}) and weight_decay {recipe.weight_decay:g}",
        _augmented(session, recipe),
        f"on a {'GPU' if session.device == 'cuda' else 'CPU'}",
    ]
    return (
        f"classify images of {image} into {session.classes} classes; "
        f"{trained:,} to train on, {validated:,} to validate.\n"
        f"Training: {'; '.join(details)}."
    )


def _augmented(session: SessionSpec, recipe: Recipe) -> str:
    """What happens to the images in training."""
    done = ["shifted"] if recipe.augment else []
    done += ["mirrored"] if mirrors(session, recipe) else []
    done += ["their colours jittered"] if recipe.augment and recipe.jitter else []
    return f"images {' and '.join(done)} at random" if done else "images as they are"


def mirrors(session: SessionSpec, recipe: Recipe) -> bool:
    """Whether images are mirrored at random."""
    return recipe.augment and recipe.mirror and session.mirror


def data_line(session: SessionSpec) -> str:
    """Classes, numbers of images by split, and their shape."""
    counts = "/".join(f"{session.arrays[name].shape[0]:,}" for name in ("train", "validation", "test"))
    image = f"{session.channels}x{session.size}x{session.size}"
    return f"{session.classes} classes, {counts} images (training/validation/test) of {image}"


def remarks_on(session: SessionSpec, recipe: Recipe) -> tuple[str, ...]:
    """What a user should know of the training before it is run often, a sentence each."""
    if not mirrors(session, recipe):
        return ()
    return (
        "Images are mirrored at random, which harms letters, arrows and all else that a mirror turns into "
        "something else: --no-mirror.",
    )
