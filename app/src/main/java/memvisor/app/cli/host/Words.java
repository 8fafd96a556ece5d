package memvisor.app.cli.host;

import java.util.Locale;

/** Names of constants as words. */
final class Words {
  private Words() {}

  /** {@code GUEST_PAGE} as "guest page". */
  static String of(String constant) {
    return constant.toLowerCase(Locale.ROOT).replace('_', ' ');
  }
}
