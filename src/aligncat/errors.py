"""Errors that a user can cause. Each message says what is wrong, where it is wrong, and what to do."""

import errno


class AligncatError(Exception):
    """Base class of all errors that aligncat raises on purpose. The command line prints them as one line."""


class DataError(AligncatError):
    """A dataset file, an annotation row or an expression does not follow its format."""


class LockedError(DataError):
    """Another process is writing the same file or folder."""


class ImageError(DataError):
    """An image is missing, corrupt, empty, or larger than the limit."""


class LargeImageError(ImageError):
    """An image has more pixels than the limit."""


class BoxError(DataError):
    """A box has no area or leaves its image, or its numbers have another unit than its file says."""


class MissingTruthError(DataError):
    """A referent has neither a box nor a mask, so it can be used for training but not for evaluation."""


class UnsafePickleError(DataError):
    """A pickle contains more than plain data, so it was not loaded."""


class DownloadError(AligncatError):
    """A file cannot be downloaded from its mirror."""


class CheckpointError(AligncatError):
    """A checkpoint cannot be converted: tensors are missing or unexpected, or it is of another model than named."""


class DetectorError(AligncatError):
    """A detector cannot be loaded, or does not fit the data."""


class NothingFoundError(DetectorError):
    """The detector found no object in an image."""


class StoreError(AligncatError):
    """A store is missing, unfinished or damaged, lacks an image, or was made with another detector."""


class WorkerError(AligncatError):
    """Worker processes died, did not start, or did not return in time, again and again."""


class ConfigError(AligncatError):
    """A setting, or a combination of settings, is invalid."""


class ServiceError(AligncatError):
    """A server refuses a request, cannot be reached, or gives no answer in time.

    Attributes:
        status: the HTTP status of the refusal; None if there was no answer.
        code: the kind of the refusal in one word, such as "queue_full"; None if there was no answer.
    """

    def __init__(self, message: str, *, status: int | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class WriteError(AligncatError, OSError):
    """A file or folder cannot be written, for instance because the disk is full or read-only.

    It is made like any OSError: the error's number, its text, and the path of the file.
    """

    def __str__(self) -> str:
        if self.errno in (errno.ENOSPC, errno.EDQUOT):
            remedy = "free some disk space, then run the same command again"
        elif self.errno == errno.EFBIG:
            remedy = "raise the limit on the size of files (ulimit -f), or choose a folder on another disk"
        elif self.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            remedy = "choose a folder that you may write, or change its permissions"
        else:
            remedy = "choose another folder"
        return f"{self.filename}: cannot be written ({self.strerror}); {remedy}"


class TemporaryFileError(WriteError):
    """A temporary file cannot be written, in a folder that no one has chosen."""

    def __str__(self) -> str:
        return (
            f"{self.filename}: cannot write a temporary file for rows that do not fit in memory ({self.strerror}); "
            "free some disk space, or set TMPDIR to a folder on another disk"
        )
