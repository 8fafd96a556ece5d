/**
 * Results for people and programs: tables for the terminal, JSON, and a self-contained HTML page
 * with plots.
 *
 * <p>Entry types: {@link memvisor.app.cli.report.HtmlReport}, {@link
 * memvisor.app.cli.report.TextTable}. The page needs no network and no script; it follows the
 * reader's light or dark setting.
 */
package memvisor.app.cli.report;
