package mayfly.runtime;

import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.ClassVisitor;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.Handle;
import org.objectweb.asm.MethodVisitor;
import org.objectweb.asm.Opcodes;
import org.objectweb.asm.Type;

/**
 * Has classes put strings together as compilers did before Java 9: by a {@link StringBuilder}.
 *
 * <p>Since then each such place is an {@code invokedynamic} whose code the JVM makes when it first comes there: one to
 * five milliseconds, again in each process that is copied before. Here each becomes a call of a static method of the
 * same class. That has no branches, so no stack maps are touched, and the result is the same string.
 */
final class Concatenations {
    private static final String FACTORY = "java/lang/invoke/StringConcatFactory";
    private static final String BOOTSTRAP = "makeConcatWithConstants";
    private static final byte[] SIGN = BOOTSTRAP.getBytes(StandardCharsets.US_ASCII);
    private static final String BUILDER = "java/lang/StringBuilder";
    /** The name of the methods; javac's own for lambdas are like it. */
    private static final String NAME = "concat$";

    private Concatenations() {}

    /** The class file, or one of a class that does the same; it is left as it is if it is of a kind not known. */
    static byte[] inlined(byte[] file) {
        if (!mentions(file)) {
            return file;
        }
        try {
            ClassReader reader = new ClassReader(file);
            ClassWriter writer = new ClassWriter(reader, 0);
            Rewriter rewriter = new Rewriter(writer);
            reader.accept(rewriter, 0);
            return rewriter.methods.isEmpty() ? file : writer.toByteArray();
        } catch (RuntimeException unreadable) {
            // A version from the future, a class at its limits, or no class at all, of which the JVM itself will tell.
            return file;
        }
    }

    private static boolean mentions(byte[] file) {
        for (int i = 0; i + SIGN.length <= file.length; i++) {
            int at = 0;
            while (at < SIGN.length && file[i + at] == SIGN[at]) {
                at++;
            }
            if (at == SIGN.length) {
                return true;
            }
        }
        return false;
    }

    private static final class Rewriter extends ClassVisitor {
        /** What is put together (types, then the recipe), and the method that does it. */
        private final Map<String, String> methods = new HashMap<>();
        private String owner;
        private boolean isInterface;

        Rewriter(ClassWriter writer) {
            super(Opcodes.ASM9, writer);
        }

        @Override
        public void visit(int version, int access, String name, String signature, String parent, String[] interfaces) {
            owner = name;
            isInterface = (access & Opcodes.ACC_INTERFACE) != 0;
            super.visit(version, access, name, signature, parent, interfaces);
        }

        @Override
        public MethodVisitor visitMethod(int access, String name, String type, String signature, String[] exceptions) {
            return new MethodVisitor(Opcodes.ASM9, super.visitMethod(access, name, type, signature, exceptions)) {
                @Override
                public void visitInvokeDynamicInsn(String name, String type, Handle bootstrap, Object... constants) {
                    if (bootstrap.getOwner().equals(FACTORY) && bootstrap.getName().equals(BOOTSTRAP) && isText(constants)) {
                        String method = methods.computeIfAbsent(type + constants[0], unknown -> NAME + methods.size());
                        super.visitMethodInsn(Opcodes.INVOKESTATIC, owner, method, type, isInterface);
                    } else {
                        super.visitInvokeDynamicInsn(name, type, bootstrap, constants);
                    }
                }
            };
        }

        /** Constants that do not fit into the recipe may be any that a class file can have: rare, and left alone. */
        private static boolean isText(Object[] constants) {
            return constants.length == 1 && constants[0] instanceof String;
        }

        @Override
        public void visitEnd() {
            for (Map.Entry<String, String> method : methods.entrySet()) {
                int end = method.getKey().indexOf(')') + 1 + Type.getDescriptor(String.class).length();
                define(method.getValue(), method.getKey().substring(0, end), method.getKey().substring(end));
            }
            super.visitEnd();
        }

        /** Adds the method that puts together what a recipe says: its text as it is, and an argument for each \1. */
        private void define(String name, String type, String recipe) {
            MethodVisitor code = super.visitMethod(
                    Opcodes.ACC_PRIVATE | Opcodes.ACC_STATIC | Opcodes.ACC_SYNTHETIC, name, type, null, null);
            code.visitCode();
            code.visitTypeInsn(Opcodes.NEW, BUILDER);
            code.visitInsn(Opcodes.DUP);
            code.visitMethodInsn(Opcodes.INVOKESPECIAL, BUILDER, "<init>", "()V", false);
            Type[] arguments = Type.getArgumentTypes(type);
            int argument = 0;
            int slot = 0;
            int text = 0;
            for (int i = 0; i < recipe.length(); i++) {
                if (recipe.charAt(i) != '\1') {
                    continue;
                }
                append(code, recipe.substring(text, i));
                text = i + 1;
                Type of = arguments[argument++];
                code.visitVarInsn(of.getOpcode(Opcodes.ILOAD), slot);
                slot += of.getSize();
                append(code, of);
            }
            append(code, recipe.substring(text));
            code.visitMethodInsn(Opcodes.INVOKEVIRTUAL, BUILDER, "toString", "()Ljava/lang/String;", false);
            code.visitInsn(Opcodes.ARETURN);
            code.visitMaxs(3, slot);
            code.visitEnd();
        }

        private static void append(MethodVisitor code, String text) {
            if (!text.isEmpty()) {
                code.visitLdcInsn(text);
                append(code, Type.getType(String.class));
            }
        }

        /** By the method that a compiler takes for this type; {@code char[]} is an object among others here. */
        private static void append(MethodVisitor code, Type of) {
            String parameter;
            switch (of.getSort()) {
                case Type.BYTE:
                case Type.SHORT:
                    parameter = "I";
                    break;
                case Type.OBJECT:
                case Type.ARRAY:
                    parameter = of.getClassName().equals("java.lang.String") ? "Ljava/lang/String;" : "Ljava/lang/Object;";
                    break;
                default:
                    parameter = of.getDescriptor();
            }
            code.visitMethodInsn(Opcodes.INVOKEVIRTUAL, BUILDER, "append", "(" + parameter + ")Ljava/lang/StringBuilder;", false);
        }
    }
}
