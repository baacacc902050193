"""The one table from errors to HTTP: status for all, and the code of the distribution specification for /v2.

Looked up along the class's ancestors, so that a new error is at worst what its kind is. A test demands a row for
every concrete error. Spec: OCI distribution-spec, "Error Codes".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from entrepot.access import errors as access
from entrepot.catalog import errors as catalog
from entrepot.content import errors as content
from entrepot.errors import (
    ConflictError,
    DeniedError,
    EntrepotError,
    InvalidError,
    LimitError,
    NotFoundError,
    PreconditionError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedError,
)
from entrepot.lifecycle import errors as lifecycle
from entrepot.oci import errors as oci
from entrepot.registry import errors as registry
from entrepot.runtime import errors as runtime
from entrepot.runtime.filters import FilterInvalidError
from entrepot.scanning import errors as scanning
from entrepot.web.limits import errors as limits


@dataclass(frozen=True, slots=True)
class Answer:
    """status and code on /v2; status on /api."""

    status: int
    code: str
    api_status: int


ANSWERS: Final[Mapping[type[EntrepotError], Answer]] = {
    oci.DigestInvalidError: Answer(400, "DIGEST_INVALID", 422),
    oci.NameInvalidError: Answer(400, "NAME_INVALID", 422),
    oci.TagInvalidError: Answer(400, "MANIFEST_INVALID", 422),
    oci.SizeInvalidError: Answer(400, "SIZE_INVALID", 422),
    oci.MediaTypeUnsupportedError: Answer(400, "MANIFEST_INVALID", 422),
    oci.ManifestInvalidError: Answer(400, "MANIFEST_INVALID", 422),
    catalog.ManifestUnknownError: Answer(404, "MANIFEST_UNKNOWN", 404),
    catalog.BlobUnknownError: Answer(404, "BLOB_UNKNOWN", 404),
    catalog.RepositoryUnknownError: Answer(404, "NAME_UNKNOWN", 404),
    catalog.ProjectUnknownError: Answer(404, "NAME_UNKNOWN", 404),
    catalog.ManifestBlobUnknownError: Answer(404, "MANIFEST_BLOB_UNKNOWN", 409),
    catalog.StillReferencedError: Answer(405, "UNSUPPORTED", 409),
    catalog.OperationUnknownError: Answer(404, "NAME_UNKNOWN", 404),
    catalog.OperationOverError: Answer(409, "DENIED", 409),
    catalog.TagLockedError: Answer(403, "DENIED", 403),
    catalog.TagMoveUnknownError: Answer(404, "MANIFEST_UNKNOWN", 404),
    catalog.UndoImpossibleError: Answer(409, "DENIED", 409),
    catalog.QuotaExceededError: Answer(403, "DENIED", 403),
    catalog.ProjectExistsError: Answer(409, "DENIED", 409),
    catalog.ProjectNameInvalidError: Answer(400, "NAME_INVALID", 422),
    catalog.PipelineInvalidError: Answer(400, "UNSUPPORTED", 422),
    catalog.ClosureTooLargeError: Answer(400, "UNSUPPORTED", 422),
    lifecycle.StageUnknownError: Answer(400, "UNSUPPORTED", 422),
    lifecycle.PromotionInvalidError: Answer(400, "UNSUPPORTED", 422),
    lifecycle.PromotionBlockedError: Answer(403, "BLOCKED", 403),
    lifecycle.PromotionRefusedError: Answer(403, "DENIED", 403),
    lifecycle.PromotionUnknownError: Answer(404, "NAME_UNKNOWN", 404),
    lifecycle.PromotionOverError: Answer(409, "DENIED", 409),
    lifecycle.NothingBeforeError: Answer(409, "DENIED", 409),
    content.UploadUnknownError: Answer(404, "BLOB_UPLOAD_UNKNOWN", 404),
    content.CopySuspectError: Answer(404, "BLOB_UNKNOWN", 404),
    content.RangeInvalidError: Answer(416, "BLOB_UPLOAD_INVALID", 416),
    content.RangeNotSatisfiableError: Answer(416, "UNSUPPORTED", 416),
    content.BodyTooLargeError: Answer(413, "SIZE_INVALID", 413),
    content.ChunksExhaustedError: Answer(400, "SIZE_INVALID", 422),
    content.AlgorithmUnknownError: Answer(400, "DIGEST_INVALID", 422),
    content.StorageUnavailableError: Answer(503, "UNAVAILABLE", 503),
    access.CredentialsInvalidError: Answer(401, "UNAUTHORIZED", 401),
    access.TokenInvalidError: Answer(401, "UNAUTHORIZED", 401),
    access.LoginRequiredError: Answer(401, "UNAUTHORIZED", 401),
    access.InsufficientScopeError: Answer(401, "UNAUTHORIZED", 401),
    access.PermissionDeniedError: Answer(403, "DENIED", 403),
    access.StageProtectedError: Answer(403, "DENIED", 403),
    access.ProjectHiddenError: Answer(404, "NAME_UNKNOWN", 404),
    access.AccountExistsError: Answer(409, "DENIED", 409),
    access.AccountUnknownError: Answer(404, "NAME_UNKNOWN", 404),
    access.LastAdminError: Answer(409, "DENIED", 409),
    access.PasswordWeakError: Answer(400, "UNSUPPORTED", 422),
    access.CredentialUnknownError: Answer(404, "NAME_UNKNOWN", 404),
    access.AccountNameInvalidError: Answer(400, "NAME_INVALID", 422),
    access.ScopeInvalidError: Answer(400, "UNSUPPORTED", 422),
    access.LoginBusyError: Answer(429, "TOOMANYREQUESTS", 429),
    access.LoginDelayedError: Answer(429, "TOOMANYREQUESTS", 429),
    registry.PolicyBlockedError: Answer(403, "DENIED", 403),
    registry.QuarantinedError: Answer(403, "DENIED", 403),
    registry.ConditionFailedError: Answer(412, "DENIED", 412),
    registry.TooManyTagsError: Answer(414, "UNSUPPORTED", 414),
    registry.TooManyUploadsError: Answer(429, "TOOMANYREQUESTS", 429),
    registry.UnsupportedRequestError: Answer(405, "UNSUPPORTED", 405),
    runtime.DatabaseUnavailableError: Answer(503, "UNAVAILABLE", 503),
    runtime.SchemaOldError: Answer(503, "UNAVAILABLE", 503),
    runtime.LeaseLostError: Answer(409, "DENIED", 409),
    FilterInvalidError: Answer(400, "UNSUPPORTED", 422),
    runtime.StaleError: Answer(412, "DENIED", 412),
    runtime.KeyReusedError: Answer(409, "DENIED", 409),
    runtime.KeyBusyError: Answer(409, "DENIED", 409),
    runtime.AnswerLostError: Answer(409, "DENIED", 409),
    runtime.AnswerWithheldError: Answer(409, "DENIED", 409),
    runtime.JobUnknownError: Answer(404, "NAME_UNKNOWN", 404),
    scanning.VersionMalformedError: Answer(400, "UNSUPPORTED", 422),
    scanning.FeedInvalidError: Answer(400, "UNSUPPORTED", 422),
    scanning.FeedRefusedError: Answer(409, "DENIED", 409),
    scanning.ScanUnknownError: Answer(404, "MANIFEST_UNKNOWN", 404),
    scanning.AnalyserError: Answer(503, "UNAVAILABLE", 503),
    limits.RequestAmbiguousError: Answer(400, "UNSUPPORTED", 400),
    limits.BodyBrokenError: Answer(400, "SIZE_INVALID", 400),
    limits.RequestLineTooLongError: Answer(414, "UNSUPPORTED", 414),
    limits.HeadersTooLargeError: Answer(431, "UNSUPPORTED", 431),
    limits.BodyTooSlowError: Answer(408, "SIZE_INVALID", 408),
    limits.ReaderTooSlowError: Answer(408, "SIZE_INVALID", 408),
    limits.TooManyRequestsError: Answer(429, "TOOMANYREQUESTS", 429),
    limits.ConditionRequiredError: Answer(428, "DENIED", 428),
    InvalidError: Answer(400, "UNSUPPORTED", 422),
    NotFoundError: Answer(404, "NAME_UNKNOWN", 404),
    ConflictError: Answer(409, "DENIED", 409),
    PreconditionError: Answer(412, "DENIED", 412),
    DeniedError: Answer(403, "DENIED", 403),
    UnauthenticatedError: Answer(401, "UNAUTHORIZED", 401),
    LimitError: Answer(429, "TOOMANYREQUESTS", 429),
    UnsupportedError: Answer(405, "UNSUPPORTED", 405),
    UnavailableError: Answer(503, "UNAVAILABLE", 503),
}
UNKNOWN: Final = Answer(500, "UNKNOWN", 500)


def answer_for(error: EntrepotError) -> Answer:
    """The row of the error's class, or of its nearest ancestor."""
    return next((ANSWERS[kind] for kind in type(error).__mro__ if kind in ANSWERS), UNKNOWN)
