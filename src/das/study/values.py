"""Types of values that studies and components' options share, with the limits they state."""

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, WithJsonSchema


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        whole = parts.path if parts.scheme == "file" and not parts.netloc else parts.hostname and parts.port != 0
    except ValueError:  # brackets, a port that is none
        whole = None
    if not whole or parts.scheme not in ("http", "https", "file") or not re.fullmatch(r"[!-~]+", text):
        raise ValueError("should begin with http://, https:// or file:/// and hold no spaces")
    return text


def _path(text: str) -> str:
    if not text.strip() or not text.isprintable() or len(text) > 4000:
        raise ValueError("should be a path, without line breaks and the like")
    return text


Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$", max_length=64)]
Url = Annotated[str, AfterValidator(_url)]
FilePath = Annotated[str, AfterValidator(_path)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Below1 = Annotated[float, Field(ge=0, lt=1)]
Part = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
AtLeast2 = Annotated[int, Field(ge=2)]


def _pair(test, allowed: str) -> Any:
    def check(value: Any) -> tuple[float, float]:
        numbers = isinstance(value, list | tuple) and len(value) == 2 and all(type(v) in (int, float) for v in value)
        if not numbers or not test(*value):
            raise ValueError(f"should be {allowed}")
        return tuple(value)

    return Annotated[Any, AfterValidator(check)]


Area = _pair(lambda low, high: 0 < low <= high <= 1, "two numbers, 0 < low <= high <= 1")
Ratio = _pair(lambda low, high: 0 < low <= high, "two numbers, 0 < low <= high")
Momenta = _pair(lambda first, last: 0 <= first <= last < 1, "two numbers, 0 <= first <= last < 1")


def _size(value: Any) -> Any:
    numbers = value if isinstance(value, list | tuple) and len(value) == 2 else [value]
    if not all(type(number) is int and number >= 1 for number in numbers):
        raise ValueError("should be a whole number of pixels, 1 or more, or [height, width]")
    return value


Size = Annotated[
    Any,
    AfterValidator(_size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 2, "maxItems": 2},
            ]
        }
    ),
]
