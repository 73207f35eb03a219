"""Lists of Python numbers, made in loops."""

import math


def equal_steps(n, first, last):
    if n < 1:
        raise ValueError(f"{n} steps")
    return [first + (last - first) * k / (n - 1) if n > 1 else first for k in range(n)]


def squared_cosine(n, s):
    if n < 1:
        raise ValueError(f"{n} steps")

    def f(u):
        return math.cos((u + s) / (1 + s) * math.pi / 2) ** 2

    betas = []
    for k in range(n):
        beta = 1 - f((k + 1) / n) / f(k / n)
        betas.append(min(beta, 0.999))
    return betas


def running_product(factors):
    product, products = 1.0, []
    for factor in factors:
        product *= factor
        products.append(product)
    return products
