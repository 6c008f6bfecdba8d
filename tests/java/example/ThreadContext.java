package org.apache.logging.log4j;

import java.util.HashMap;
import java.util.Map;

/** Stands for Log4j's class, which the runtime tells the id of the event. */
public class ThreadContext {
    public static final Map<String, String> VALUES = new HashMap<>();

    public static void put(String key, String value) {
        VALUES.put(key, value);
    }
}
