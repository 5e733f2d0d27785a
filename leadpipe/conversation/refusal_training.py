"""Training the refusal model: ``python -m leadpipe.conversation.refusal_training`` writes the file it is read from.

What lives here: from sentences to weights, seeded. What does not: what the model sees (``refusal_views``), reading by
it (``refusal_model``).

It learns from all sentences: those of the intents, those chosen for refusals and what only sounds like one, and
``replies.yaml``, which people wrote who had seen neither rules nor each other's sentences.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from leadpipe.conversation import local_model, refusal_model
from leadpipe.conversation.refusal_model import REFUSALS, RefusalModel
from leadpipe.conversation.refusal_views import VIEWS, counts_of, matrix_of

# Of the regression, by cross-validation: half or double of it changes nothing.
_C = 8.0
# Wrong numbers and complaints are few among the sentences of the intents.
_RARE = 2.0


def train(pairs: Sequence[tuple[str, str]], *, trained_on: str) -> RefusalModel:
    """A model of these sentences, each with its intent; the same sentences give the same model."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.linear_model import LogisticRegression

    counts = counts_of([text for text, _ in pairs])
    rated = {name for name, view in VIEWS.items() if view.is_rated}
    # As coarse as the file keeps it, so that what is measured is what is used.
    rarity: dict[str, Any] = {
        name: TfidfTransformer().fit(counts[name]).idf_.astype(np.float16).astype(np.float64) for name in rated
    }
    regression = LogisticRegression(C=_C, solver="liblinear", random_state=local_model.SEED)
    regression.fit(
        matrix_of(counts, rarity),
        [intent in REFUSALS for _, intent in pairs],
        sample_weight=[_RARE if intent in {"wrong_number", "complaint"} else 1.0 for _, intent in pairs],
    )
    coefficients: Any = regression.coef_[0]
    intercept: Any = regression.intercept_
    return RefusalModel(rarity=rarity, weights=coefficients, bias=float(intercept[0]), trained_on=trained_on)


def main() -> int:
    """Train on everything and write the weights."""
    pairs = (*local_model.sentences(), *local_model.refusal_sentences(), *local_model.reply_sentences())
    path = Path(__file__).parent / "sentences" / refusal_model.WEIGHTS
    kept = train(pairs, trained_on=refusal_model.digest()).as_bytes()
    path.write_bytes(kept)
    sys.stdout.write(f"{path.name}: {len(pairs)} sentences, {len(kept) / 1e6:.2f} MB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
