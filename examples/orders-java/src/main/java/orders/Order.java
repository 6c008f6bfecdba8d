package orders;

import jakarta.validation.Valid;
import jakarta.validation.constraints.NotBlank;
import jakarta.validation.constraints.NotEmpty;
import jakarta.validation.constraints.Positive;
import java.util.List;

/** The event: what somebody orders. */
public record Order(@NotBlank String customer, @NotEmpty List<@Valid Line> lines) {
    /** So many of one article. */
    public record Line(@NotBlank String article, @Positive int quantity) {}
}
