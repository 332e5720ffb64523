"""Imperial units as weather stations send them -> those of the tables."""


def same(value):
    return value


def celsius(fahrenheit):
    return (fahrenheit - 32) / 1.8


def hectopascal(inches):
    # 25.4 mm of mercury of 13,595.1 kg/m3 under 9.80665 m/s2.
    return inches * 25.4 * 13.5951 * 9.80665 / 100


def metres_per_second(miles_per_hour):
    return miles_per_hour * 1609.344 / 3600


def millimetres(inches):
    return inches * 25.4
