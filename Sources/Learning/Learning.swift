// Learning: the mathematics of belief. Elementary functions, distributions, seeded draws,
// quadrature, decay, and in Learners the models that learn from one example at a time.
//
// What lives here takes numbers and gives numbers, with nothing but IEEE 754 addition,
// subtraction, multiplication, division and square root, so that a result is the same bits on
// every machine and in every replay: the C library's `exp` is not. No events, no tables, no time
// of day, no state between two calls, no imports.

/// Elementary functions with a stated bound on their error.
///
/// A bound is in units in the last place (ULP) of the result, for normal results. NaN gives NaN.
/// The polynomials are Chebyshev interpolants of the functions that their comments name, computed
/// with 60 digits and rounded.
public enum Elementary {}
