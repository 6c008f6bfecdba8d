CREATE TABLE articles (
    name VARCHAR(100) PRIMARY KEY,
    price BIGINT NOT NULL,
    stock INT NOT NULL CHECK (stock >= 0)
);
CREATE TABLE orders (
    id UUID PRIMARY KEY,
    customer VARCHAR(100) NOT NULL,
    total BIGINT NOT NULL
);
CREATE TABLE lines (
    order_id UUID NOT NULL REFERENCES orders,
    article VARCHAR(100) NOT NULL REFERENCES articles,
    quantity INT NOT NULL
);
INSERT INTO articles VALUES ('pencil', 120, 1000), ('paper', 500, 200), ('ruler', 340, 50), ('globe', 4990, 3);
-- What a shop has sold so far.
INSERT INTO orders SELECT RANDOM_UUID(), 'customer ' || MOD(x, 97), MOD(x * 7919, 5000) FROM SYSTEM_RANGE(1, 5000);
CREATE INDEX orders_customer ON orders (customer);
