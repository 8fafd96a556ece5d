package memvisor.app.cli.host;

import java.util.LinkedHashMap;
import java.util.Map;
import tools.jackson.databind.json.JsonMapper;

/** One line to a user of the control socket: a result, or why there is none. */
final class Reply {
  static final String OK = "ok";
  static final String RESULT = "result";
  static final String ERROR = "error";

  private static final JsonMapper MAPPER = JsonMapper.builder().build();

  private Reply() {}

  static String result(Object result) {
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put(OK, true);
    fields.put(RESULT, result);
    return MAPPER.writeValueAsString(fields) + "\n";
  }

  static String error(String sentence) {
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put(OK, false);
    fields.put(ERROR, sentence);
    return MAPPER.writeValueAsString(fields) + "\n";
  }
}
