"""How likely a text refuses further contact: a logistic regression of its own beside the reader of intents.

What lives here: its weights as they are kept beside the code, and its probability. What does not: what it sees
(``refusal_views``), its training (``refusal_training``), rules (``optout``), intents (``local_model``), which
probability suffices (``classify``).

It reads from arrays that were trained beforehand, since training takes half a minute and every run that answers replies
would pay it. They are numbers only: nothing in the file can run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from io import BytesIO
from typing import TYPE_CHECKING, Any

from leadpipe.conversation.refusal_views import VIEWS, counts_of, matrix_of
from leadpipe.errors import ConfigurationError

if TYPE_CHECKING:
    import numpy as np

REFUSALS = frozenset({"opt_out", "wrong_number", "complaint"})
WEIGHTS = "refusals.npz"
# What the weights were learnt from: the sentences, and the code that says what is seen of them.
_SENTENCES = ("train.yaml", "refusals.yaml", "replies.yaml")
_CODE = ("refusal_views.py", "word_parts.py", "lookalikes.py", "phrases.py", "plain.py", "local_model.py")


@dataclass(frozen=True, kw_only=True)
class RefusalModel:
    """A trained regression.

    Attributes:
        rarity: inverse document frequencies by view.
        weights: of every place of every view, in the order of ``VIEWS``.
        bias: added to their sum.
        trained_on: ``digest`` of what it was trained on.
    """

    rarity: Mapping[str, np.ndarray]
    weights: np.ndarray
    bias: float
    trained_on: str

    def probabilities(self, texts: Sequence[str]) -> list[float]:
        """How likely each text refuses, 0 to 1, in order."""
        if not texts:
            return []
        from scipy.special import expit

        scores = matrix_of(counts_of(texts), self.rarity) @ self.weights + self.bias
        return [float(value) for value in expit(scores)]

    def as_bytes(self) -> bytes:
        """The file that ``load`` reads; the same model gives the same bytes."""
        import numpy as np

        kept: dict[str, Any] = {f"rarity_{name}": values.astype(np.float16) for name, values in self.rarity.items()}
        kept |= {"weights": self.weights.astype(np.float16), "bias": np.float64(self.bias)}
        kept |= {"trained_on": np.bytes_(self.trained_on.encode())}
        to = BytesIO()
        np.savez_compressed(to, **kept)
        return to.getvalue()


@lru_cache(maxsize=1)
def load() -> RefusalModel:
    """The model of this version of leadpipe.

    Raises:
        ConfigurationError: its file is missing or cannot be read.
    """
    try:
        return from_bytes((files("leadpipe.conversation") / "sentences" / WEIGHTS).read_bytes())
    except (OSError, ValueError, KeyError) as error:
        raise ConfigurationError(
            f"the refusal model cannot be read ({type(error).__name__}); install leadpipe again, or `make refusals`"
        ) from error


def from_bytes(kept: bytes) -> RefusalModel:
    """The model of ``as_bytes``."""
    import numpy as np

    with np.load(BytesIO(kept), allow_pickle=False) as found:
        return RefusalModel(
            rarity={name: found[f"rarity_{name}"].astype(np.float64) for name, view in VIEWS.items() if view.is_rated},
            weights=found["weights"].astype(np.float64),
            bias=float(found["bias"]),
            trained_on=bytes(found["trained_on"]).decode(),
        )


def digest() -> str:
    """Of the sentences and the code as they are now; a model trained on anything else has another."""
    here = files("leadpipe.conversation")
    told = hashlib.sha256()
    for name in (*(f"sentences/{each}" for each in _SENTENCES), *_CODE):
        told.update(name.encode() + here.joinpath(name).read_bytes())
    return told.hexdigest()[:16]
