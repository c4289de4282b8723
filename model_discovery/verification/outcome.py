"""How a verification fails: by a status with a name."""

from model_discovery.verification.report import VerificationStatus


class VerificationFailure(Exception):
    """The design, not the machine, is at fault; ``status`` and one line go into the report."""

    def __init__(self, status: VerificationStatus, error: str) -> None:
        super().__init__(f"{status}: {error}")
        self.status: VerificationStatus = status
        self.error = error
