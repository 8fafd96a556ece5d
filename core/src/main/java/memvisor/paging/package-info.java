/**
 * Page tables: formats as data, entries, one walker, and the outcome of a translation.
 *
 * <p>{@link memvisor.paging.PagingFormat} describes a format, {@link memvisor.paging.AccessRules}
 * which access which rights allow, and {@link memvisor.paging.Walker} walks any of them. A walker
 * reads entries through {@link memvisor.paging.TableMemory}; nested paging is that port answering
 * by another walk. {@link memvisor.paging.WalkRecorder} listens to walkers and makes a {@link
 * memvisor.paging.WalkTrace}.
 *
 * <p>Follows Intel SDM vol. 3A chapter 4 (paging), vol. 3C chapter 29 (EPT) and AMD APM vol. 2
 * chapters 5 and 15.25 (NPT). Nothing here allocates on the walk path. Deliberately absent:
 * protection keys, HLAT, mode-based execute control, sub-page permissions; processors without 1 GiB
 * pages.
 */
package memvisor.paging;
