"""What a machine's owner sets once: folders and keys, from the environment or a ``.env`` file."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Folders and keys. Everything has a default that works without configuration.

    Attributes
    ----------
    data_dir
        Prepared token streams and tokenizers (``DATA_DIR``).
    ckpt_dir
        Run folders: checkpoints, reports, curves (``CKPT_DIR``).
    track_dir
        Runs as a tracker shows them (``TRACK_DIR``).
    library_dir
        Papers of one's own, the index, answers of paper services (``LIBRARY_DIR``).
    library_embedder
        What the index is made with (``LIBRARY_EMBEDDER``).
    s2_api_url, arxiv_api_url
        Where Semantic Scholar and arXiv answer, or a mirror of them.
    """

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True)

    data_dir: Path = Path("data")
    ckpt_dir: Path = Path("checkpoints")
    track_dir: Path = Path("tracking")
    library_dir: Path = Path("paper_library")
    library_embedder: str = "lexical-svd"
    s2_api_url: str = "https://api.semanticscholar.org"
    arxiv_api_url: str = "https://export.arxiv.org"
    openai_api_key: SecretStr | None = Field(None, description="for LLM designers")
    anthropic_api_key: SecretStr | None = Field(None, description="for LLM designers")
    hf_token: SecretStr | None = Field(None, description="for export --push")
    wandb_api_key: SecretStr | None = Field(None, description="for experiment tracking")
    s2_api_key: SecretStr | None = Field(None, description="for Semantic Scholar")
