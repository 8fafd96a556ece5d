/**
 * Page tables: formats as data, entries, one walker, and the outcome of a translation.
 *
 * <p>Follows Intel SDM vol. 3A chapter 4 (paging), vol. 3C chapter 29 (EPT) and AMD APM vol. 2
 * chapters 5 and 15.25 (NPT). Nothing here allocates on the walk path.
 */
package memvisor.paging;
