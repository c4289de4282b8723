"""BibTeX as people have it: accents, strings, cross references, broken entries; and as it is written."""

from pathlib import Path

import pytest

from model_discovery.errors import UserError
from model_discovery.library.bibtex import Entry, read_bibtex, write_bibtex
from model_discovery.library.types import Paper

FILE = r"""
% A comment of the owner.
@string{icml = "International Conference on Machine Learning"}
@inproceedings{gates, title = {{Gates} \& {D}ecay for $O(n)$ Attention}, year = 2023,
  author = {G{\"u}ng\"or, Albert and \'E. Dao and {Meta AI and Friends} and
    van den Berg, Jr., Jos{\'e} and others},
  booktitle = icml # ", volume 2", abstract = {First line
     second line with 5\% more.}}
@proceedings{workshop, title = {Workshop on Layers}, year = 2024}
@inproceedings{part, title = "A Part", author = "Ada Example", crossref = {workshop}}
@article{preprint, title = {A Preprint}, journal = {arXiv preprint arXiv:2312.00752}, year = {2023}}
@article{corr, title = {A Listing}, journal = {CoRR}, volume = {abs/2405.21060}, doi = {10.1000/Xy_Z}}
@misc{eprint, title = {By Eprint}, eprint = {cs/0101001}, archivePrefix = {arXiv}, date = {2001-05-02}}
@article{published, title = {With a DOI}, doi = {https://doi.org/10.1162/TACL_a_00321}}
@article{untitled, author = {Nobody}}
@article{twice, title = {One}, title = {Two}}
@article{preprint, title = {The Same Key}}
@article{open, title = {Never closed, year = 1999
@article{last, title = {Łukasz’s Paper}}
"""


@pytest.fixture
def entries(tmp_path: Path) -> dict[str, Entry]:
    (tmp_path / "refs.bib").write_text(FILE, encoding="utf-8")
    return {entry.key: entry for entry in read_bibtex(tmp_path / "refs.bib") if entry.found}


def _paper(entries: dict[str, Entry], key: str) -> Paper:
    found = entries[key].found
    assert found is not None
    return found.paper


def test_accents_strings_and_names(entries: dict[str, Entry]) -> None:
    paper = _paper(entries, "gates")
    assert paper.title == "Gates & Decay for $O(n)$ Attention"
    assert paper.authors == ("Albert Güngör", "É. Dao", "Meta AI and Friends", "José van den Berg Jr.")
    assert paper.venue == "International Conference on Machine Learning, volume 2"
    assert paper.year == 2023
    found = entries["gates"].found
    assert found is not None and found.abstract == "First line second line with 5% more."
    assert _paper(entries, "last").title == "Łukasz’s Paper"


def test_a_cross_reference_gives_venue_and_year_and_is_no_paper(entries: dict[str, Entry]) -> None:
    paper = _paper(entries, "part")
    assert (paper.venue, paper.year, paper.authors) == ("Workshop on Layers", 2024, ("Ada Example",))
    assert "workshop" not in entries


def test_identifiers_are_found_where_people_write_them(entries: dict[str, Entry]) -> None:
    ids = {key: _paper(entries, key).id for key in ("preprint", "corr", "eprint", "published")}
    assert ids == {"preprint": "arxiv:2312.00752", "corr": "arxiv:2405.21060", "eprint": "arxiv:cs/0101001",
                   "published": "doi:10.1162/tacl_a_00321"}  # fmt: skip
    assert _paper(entries, "corr").doi == "10.1000/xy_z" and _paper(entries, "eprint").year == 2001
    assert _paper(entries, "published").doi == "10.1162/tacl_a_00321"
    assert _paper(entries, "part").id.startswith("title:")


def test_broken_entries_say_their_line_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "refs.bib").write_text(FILE, encoding="utf-8")
    broken = {entry.key: entry.why for entry in read_bibtex(tmp_path / "refs.bib") if entry.found is None}
    assert broken["untitled"] == "it has no title"
    assert broken["twice"].startswith("line 16: Duplicate field")
    assert broken["preprint"].startswith("line 17: Duplicate entry")
    assert broken["open"].startswith("line 18: ") and "@article" in broken["open"]
    assert set(broken) == {"untitled", "twice", "preprint", "open"}


@pytest.mark.parametrize("content", [b"", b"no entry here", b"\xff\xfe\x00binary"])
def test_a_file_without_entries_says_so(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "refs.bib").write_bytes(content)
    with pytest.raises(UserError, match=r"refs\.bib has no BibTeX entry"):
        read_bibtex(tmp_path / "refs.bib")


def test_what_is_written_reads_back_the_same(entries: dict[str, Entry], tmp_path: Path) -> None:
    papers = [_paper(entries, key) for key in sorted(entries)]
    (tmp_path / "out.bib").write_text(write_bibtex(papers), encoding="utf-8")
    back = [entry.found.paper for entry in read_bibtex(tmp_path / "out.bib") if entry.found]
    assert [(p.title, p.authors, p.year, p.arxiv, p.doi, p.id) for p in back] == [
        (p.title, p.authors, p.year, p.arxiv, p.doi, p.id) for p in papers
    ]


def test_keys_are_unique_and_plain() -> None:
    paper = Paper(id="a", title="Über Gates", authors=("Ada Ängström",), year=2020)
    text = write_bibtex([paper, paper.model_copy(update={"id": "b"})])
    assert "@misc{angstrom2020uber," in text and "@misc{angstrom2020uber-2," in text
