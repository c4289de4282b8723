"""Frequencies of stems: what is kept and what is counted later are together what one count of all gives."""

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from library_makers import paper

from model_discovery.library.frequencies import Frequencies
from model_discovery.library.ngrams import stems_of, words_of
from model_discovery.library.store import Store
from model_discovery.library.types import Passage

WORDS = ("a", "gate", "gated", "linear", "attention", "attentive", "ü", "7")
TEXTS = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
STEPS = st.one_of(
    st.tuples(st.just("add"), st.lists(TEXTS, max_size=3)),
    st.tuples(st.sampled_from(["remove", "keep", "extend", "open", "embed again"]), st.none()),
)


def one_count(store: Store) -> Counter[int]:
    texts = [text for _, some in store.texts() for text in some]
    return Counter(stem for text in texts for stem in set(stems_of(words_of(text)).tolist()))


@given(st.lists(STEPS, max_size=12))
@settings(max_examples=60, deadline=None)
def test_they_are_what_one_count_gives(steps: list[tuple[str, list[str] | None]]) -> None:
    with TemporaryDirectory() as folder:
        store = Store(Path(folder) / "library.db")
        frequencies = Frequencies(store)
        for number, (step, texts) in enumerate(steps):
            with store.writing():
                if step == "add":
                    store.add(
                        paper(str(number)), [Passage(section="", text=t) for t in texts or ()], "papers"
                    )
                elif step == "remove" and (first := store.one("SELECT number FROM papers")):
                    store.remove(first)
                elif step == "embed again":
                    store.forget_vectors()
            if step == "extend" and frequencies.epoch == store.epoch:
                frequencies.extend(store)
            elif step in ("keep", "open"):
                frequencies = Frequencies(store)
            if step == "keep":
                with store.writing():
                    store.keep_frequencies(frequencies.last, *frequencies.all())
                frequencies = Frequencies(store)
                assert frequencies.behind == 0
        if frequencies.epoch == store.epoch:
            frequencies.extend(store)
        else:
            frequencies = Frequencies(store)
        counted = one_count(store)
        asked = np.array([*counted, 12345], dtype=np.uint32)
        assert frequencies.of(asked).tolist() == [*counted.values(), 0]
        assert dict(zip(*(array.tolist() for array in frequencies.all()), strict=True)) == counted
        store.close()
