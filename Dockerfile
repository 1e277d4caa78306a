# docker build -t deoldify-lite .
# docker run -p 7860:7860 -v feedback:/feedback deoldify-lite
FROM python:3.12-slim
RUN pip install --no-cache-dir torch torchvision --index-url https://download.pytorch.org/whl/cpu
WORKDIR /app
COPY setup.py pyproject.toml README.md ./
COPY deoldify_lite deoldify_lite
RUN pip install --no-cache-dir ".[app,video]" && useradd -m page && mkdir -m 777 /feedback
USER page
EXPOSE 7860
CMD ["deoldify-lite", "app", "--host", "0.0.0.0", "--feedback", "/feedback"]
