"""What orders are made of."""

from pydantic import BaseModel, Field


class Line(BaseModel):
    sku: str
    quantity: int = Field(gt=0)
    cents: int = Field(ge=0)


class Order(BaseModel):
    number: str
    lines: list[Line]


class Quote(BaseModel):
    number: str
    cents: int
    lines: int
