/**
 * The five address spaces as types.
 *
 * <p>Public methods take and return these records; loops inside a package work on {@code long}s
 * named by their space ({@code gva}, {@code gpa}, {@code gfn}, {@code hva}, {@code hpa}).
 */
package memvisor.address;
