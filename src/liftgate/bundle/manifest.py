"""`models/<name>/<version>/model.yaml`: what a model is fed, what it gives, and how to tell that it is the right one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from liftgate.bundle.field_types import INPUT_PATTERN, SHA256_PATTERN, Name, Strict, refuse
from liftgate.bundle.schema_value import Evidence

MAX_MODEL_BYTES = 64 * 1024 * 1024

Number = Annotated[float, Field(allow_inf_nan=False)]
Row = Annotated[list[Number], Field(min_length=1)]
InputName = Annotated[str, StringConstraints(pattern=INPUT_PATTERN)]
OnnxName = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class ManifestInput(Strict):
    """One column of the model's matrix."""

    input: InputName = Field(description="`profile.<name>` or `context.<name>` of the bundle.", examples=["profile.age"])
    equals: str | bool | int | float | None = Field(
        None, description="For a one-hot column: 1 where the input has this value, else 0; absent: the number itself.", examples=["Web"]
    )
    missing: Number = Field(description="Fed where the input is missing.", examples=[0.0])


class ManifestOutput(Strict):
    """One probability that the model gives."""

    name: Name = Field(description="What offers call it.", examples=["purchase"])
    column: int = Field(ge=0, description="Column of the ONNX output.", examples=[1])
    base_rate: float = Field(gt=0, lt=1, description="The outcome's rate in training, used where nobody is scored.", examples=[0.12])
    evidence: Evidence | None = Field(
        None, description="What the model has seen of it, for offers that smooth.", examples=[{"positives": 40, "trials": 2000}]
    )


class Golden(Strict):
    """Rows that the model must answer as it did when it was exported."""

    inputs: Annotated[list[Row], Field(min_length=1, max_length=1_000)] = Field(
        description="Matrix rows, in the order of `inputs`.", examples=[[[1.0, 0.0]]]
    )
    outputs: Annotated[list[Row], Field(min_length=1, max_length=1_000)] = Field(
        description="One row each, in the order of `outputs`.", examples=[[[0.12]]]
    )


class Manifest(Strict):
    """One model.yaml."""

    sha256: Annotated[str, StringConstraints(pattern=SHA256_PATTERN)] = Field(description="SHA-256 of model.onnx.", examples=["9f86..."])
    size: int = Field(ge=1, le=MAX_MODEL_BYTES, description="Bytes of model.onnx, at most 64 MiB.", examples=[1234])
    opset: int = Field(ge=1, description="ONNX opset of the default domain.", examples=[17])
    input: OnnxName = Field(description="Name of the ONNX input, float [N, columns].", examples=["input"])
    output: OnnxName = Field(description="Name of the ONNX output that holds probabilities, float [N, width].", examples=["probabilities"])
    inputs: Annotated[list[ManifestInput], Field(min_length=1, max_length=10_000)] = Field(
        description="Columns of the matrix, in order.", examples=[[{"input": "profile.age", "missing": 0.0}]]
    )
    outputs: Annotated[list[ManifestOutput], Field(min_length=1, max_length=1_000)] = Field(
        description="Probabilities that offers may refer to.", examples=[[{"name": "purchase", "column": 1, "base_rate": 0.12}]]
    )
    golden: Golden = Field(description="Answers to check before the model goes live.", examples=[{"inputs": [[1.0]], "outputs": [[0.1]]}])
    card: dict[Name, str] = Field(default_factory=dict, description="What it is, what it was trained on, its limits.", examples=[{}])

    @model_validator(mode="after")
    def _agree(self) -> Manifest:
        names = [output.name for output in self.outputs]
        if len(set(names)) != len(names):
            raise refuse("two outputs have the same name", "name each output once")
        if len(self.golden.inputs) != len(self.golden.outputs):
            raise refuse("golden inputs and outputs differ in their count of rows", "give one row of outputs for each row of inputs")
        if any(len(row) != len(self.inputs) for row in self.golden.inputs):
            raise refuse(f"a golden input row has not {len(self.inputs)} columns", "give one number for each entry of `inputs`")
        if any(len(row) != len(self.outputs) for row in self.golden.outputs):
            raise refuse(f"a golden output row has not {len(self.outputs)} columns", "give one number for each entry of `outputs`")
        if any(not 0 <= number <= 1 for row in self.golden.outputs for number in row):
            raise refuse("a golden output lies outside 0..1", "outputs are probabilities")
        return self
