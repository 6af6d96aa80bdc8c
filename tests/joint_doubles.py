"""Parts of runs in which several blocks change together: `doubles.registry("joint_doubles", "roomy")`."""

from __future__ import annotations

import hashlib
import re

import doubles

from ge_engine.config import RunConfig
from ge_engine.contracts import (
    Grammar,
    LanguageModel,
    LanguageModelFactory,
    Request,
)
from ge_engine.hookspecs import hookimpl
from ge_plugins.grammars import Blocks


class OfFile(doubles.Scripted):
    """Changes a number in each of two blocks of the file that the prompt shows, as the request's key says.

    `manner`: "good", or "faulty" (in a first answer one block does not compile; the next ones are good).
    """

    def _text(self, request: Request) -> str:
        if not request.prompt.addresses:
            return super()._text(request)
        code = re.findall(r"```python\n(.*?)\n```", request.prompt.user, re.DOTALL)[0]
        number = int(hashlib.sha256(request.key.encode()).hexdigest()[:6], 16) + 10
        code = re.sub(r"self\.layer\(x\) \* \d+", f"self.layer(x) * {number}", code)
        code = re.sub(r"self\.small\(x\)\) \+ \d+", f"self.small(x)) + {number + 1}", code)
        faulty = self.manner == "faulty" and request.key.endswith("/0")
        return f"```python\n{code.replace('self.head(', 'self.head((') if faulty else code}\n```"


class OfFileFactory(LanguageModelFactory):
    """`of-file:MANNER`"""

    name = "of-file"

    def open(self, argument: str, config: RunConfig) -> LanguageModel:
        return OfFile(argument or "good", 0.0)


@hookimpl
def ge_grammars() -> list[Grammar]:
    return [Blocks()]


@hookimpl
def ge_language_models() -> list[LanguageModelFactory]:
    return [OfFileFactory(), doubles.Replay()]
