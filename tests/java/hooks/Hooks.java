package hooks;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.util.ArrayList;
import java.util.List;
import org.crac.Core;
import org.crac.Resource;

/** Registers resources as SnapStart's documentation says. */
public class Hooks implements RequestHandler<Object, List<String>> {
    private static final List<String> CALLED = new ArrayList<>();

    private final Resource first = new Named("first");
    private final Resource second = new Named("second");

    public Hooks() {
        Core.getGlobalContext().register(first);
        Core.getGlobalContext().register(second);
    }

    @Override
    public List<String> handleRequest(Object event, Context context) {
        return CALLED;
    }

    private static final class Named implements Resource {
        private final String name;

        Named(String name) {
            this.name = name;
        }

        @Override
        public void beforeCheckpoint(org.crac.Context<? extends Resource> context) {
            called("before");
        }

        @Override
        public void afterRestore(org.crac.Context<? extends Resource> context) {
            called("after " + System.getenv("AWS_LAMBDA_LOG_STREAM_NAME"));
        }

        private void called(String when) {
            CALLED.add(name + " " + when);
            if ((when.split(" ")[0] + " " + name).equals(System.getenv("FAILS"))) {
                throw new IllegalStateException("no " + when);
            }
        }
    }
}
