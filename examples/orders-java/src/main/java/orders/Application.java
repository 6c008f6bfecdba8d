package orders;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import javax.sql.DataSource;
import org.hibernate.validator.messageinterpolation.ParameterMessageInterpolator;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.ComponentScan;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.io.ClassPathResource;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.datasource.init.DatabasePopulatorUtils;
import org.springframework.jdbc.datasource.init.ResourceDatabasePopulator;
import org.springframework.jdbc.support.JdbcTransactionManager;
import org.springframework.scheduling.concurrent.ThreadPoolTaskExecutor;
import org.springframework.transaction.annotation.EnableTransactionManagement;
import org.springframework.validation.beanvalidation.LocalValidatorFactoryBean;

/** What the application is made of. */
@Configuration
@ComponentScan
@EnableTransactionManagement
class Application {
    /** Four connections, all of them made now, to a database in this process that holds the shop. */
    @Bean
    HikariDataSource pool() {
        HikariConfig config = new HikariConfig();
        config.setJdbcUrl("jdbc:h2:mem:shop;DB_CLOSE_DELAY=-1");
        config.setMaximumPoolSize(4);
        config.setMinimumIdle(4);
        HikariDataSource pool = new HikariDataSource(config);
        DatabasePopulatorUtils.execute(new ResourceDatabasePopulator(new ClassPathResource("schema.sql")), pool);
        return pool;
    }

    @Bean
    JdbcTemplate database(DataSource pool) {
        return new JdbcTemplate(pool);
    }

    @Bean
    JdbcTransactionManager transactions(DataSource pool) {
        return new JdbcTransactionManager(pool);
    }

    @Bean
    ThreadPoolTaskExecutor workers() {
        ThreadPoolTaskExecutor workers = new ThreadPoolTaskExecutor();
        workers.setCorePoolSize(3);
        workers.setPrestartAllCoreThreads(true);
        workers.setThreadNamePrefix("worker-");
        workers.setDaemon(true);
        return workers;
    }

    @Bean
    LocalValidatorFactoryBean validator() {
        LocalValidatorFactoryBean validator = new LocalValidatorFactoryBean();
        validator.setMessageInterpolator(new ParameterMessageInterpolator());
        return validator;
    }

    @Bean
    ObjectMapper json() {
        return new ObjectMapper();
    }
}
